// SPDX-License-Identifier: MIT
// ListeningSocket: the Wayland socket in XDG_RUNTIME_DIR with its lock file, as libwayland's own makes them.
// Unlike libwayland's it never spins when the process has no descriptor left: who connects then is sent away.
// Removed when destroyed. Thread: the display's. Source: wayland-server.c (wl_socket_lock).
#pragma once

#include <memory>
#include <string>

#include <wayland-server-core.h>

#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace compositor {

class ListeningSocket {
public:
    /// `name` empty: the first free of wayland-0 to wayland-32. A name may be an absolute path.
    /// Errors: invalid_argument (XDG_RUNTIME_DIR, a name too long), busy (in use), io.
    static share::Result<std::unique_ptr<ListeningSocket>> create(wl_display* display,
                                                                  const std::string& name);
    ~ListeningSocket();
    ListeningSocket(const ListeningSocket&) = delete;
    ListeningSocket& operator=(const ListeningSocket&) = delete;

    /// What WAYLAND_DISPLAY is for clients.
    const std::string& name() const noexcept { return name_; }

private:
    explicit ListeningSocket(wl_display* display) : display_(display) {}
    share::Result<void> open(const std::string& path);
    share::Result<void> lock();
    share::Result<void> listen();
    static int on_readable(int fd, std::uint32_t mask, void* self) noexcept;
    void accept() noexcept;

    wl_display* display_;
    std::string name_, path_, lock_path_;
    share::UniqueFd lock_, socket_, spare_;
    wl_event_source* source_ = nullptr;
    bool bound_ = false;
};

} // namespace compositor
