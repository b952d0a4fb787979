// SPDX-License-Identifier: MIT
// Child: the command that runs inside the compositor. Watched by the event loop through a pidfd; ended when
// destroyed. Thread: the display's.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <wayland-server-core.h>

#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace compositor {

class Child {
public:
    /// Ends `display`'s loop (wl_display_terminate) when the command ends. Its soft limit of descriptors is
    /// `nofile`, when not 0. Errors: unavailable (no such program), io.
    static share::Result<std::unique_ptr<Child>> start(wl_display* display,
                                                       const std::vector<std::string>& command,
                                                       const std::string& wayland_display,
                                                       unsigned long nofile);
    /// SIGTERM, and SIGKILL two seconds later.
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Its exit status, or 128 + signal; nothing while it runs.
    std::optional<int> status() const noexcept { return status_; }

private:
    Child() = default;
    static int on_exit(int fd, std::uint32_t mask, void* self) noexcept;
    void reap(int options) noexcept;
    wl_display* display_ = nullptr;
    pid_t pid_ = -1;
    share::UniqueFd pidfd_;
    wl_event_source* source_ = nullptr;
    std::optional<int> status_;
};

} // namespace compositor
