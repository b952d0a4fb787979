// SPDX-License-Identifier: MIT
// Window: a top-level window for programs that have none of their own.
//
// Collects what happened to it while the connection dispatches; the program asks and clears. Borders around
// a smaller picture are the window's background, drawn by the server.
// Owner: the program. Thread: the connection's. Units: pixels. Source: ICCCM 4, EWMH 1.5.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <share/api.hpp>
#include <share/swapchain.hpp>
#include <share/x11/connection.hpp>

namespace share::x11 {

struct WindowOptions {
    std::string title = "libshare";
    std::string app_class = "libshare"; ///< WM_CLASS
    std::uint32_t width = 640, height = 480;
    /// Asks the window manager; with none the window simply takes the screen's size.
    bool fullscreen = false;
};

class SHARE_API Window final : private EventSink {
public:
    /// Creates and maps it on the screen's root visual. Errors: as Connection, limit (over 32767 pixels).
    static Result<std::unique_ptr<Window>> create(std::shared_ptr<Connection> connection,
                                                  const WindowOptions& options, Deadline deadline);
    ~Window() override;
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    xcb_window_t id() const noexcept { return id_; }
    std::uint32_t width() const noexcept { return width_; }
    std::uint32_t height() const noexcept { return height_; }
    /// Close button, key q or Escape, or the window was destroyed by somebody else.
    bool close_requested() const noexcept { return close_requested_; }
    /// Parts that the server has cleared since the last call: repaint them.
    std::vector<Rect> take_exposed() noexcept;
    /// True when the size changed since the last call.
    bool take_resized() noexcept;
    /// Waits until the window is on the screen (first Expose). Errors: as Connection.
    Result<void> wait_mapped(Deadline deadline);

private:
    Window(std::shared_ptr<Connection> connection, xcb_window_t id);
    void handle(const xcb_generic_event_t& event) override;
    Result<void> set_up(const WindowOptions& options, Deadline deadline);
    Result<void> load_keys(Deadline deadline);

    std::shared_ptr<Connection> connection_;
    xcb_window_t id_ = 0;
    std::uint32_t width_ = 0, height_ = 0;
    bool close_requested_ = false, resized_ = false, mapped_ = false, destroyed_ = false;
    std::vector<Rect> exposed_;
    std::vector<xcb_keycode_t> close_keys_;
    xcb_atom_t wm_protocols_ = 0, wm_delete_window_ = 0;
};

} // namespace share::x11
