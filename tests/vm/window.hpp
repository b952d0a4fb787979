// SPDX-License-Identifier: MIT
// Window: an xdg_toplevel of a test that shows Buffers of its own by libshare's Presenter.
#pragma once

#include <memory>
#include <string>

#include <share/wayland_client/presenter.hpp>

struct wl_compositor;
struct wl_surface;
struct xdg_wm_base;
struct xdg_surface;
struct xdg_toplevel;

namespace testing {

class Window {
public:
    /// Connects to that socket and waits until the window was configured. Fails the test otherwise.
    explicit Window(const std::string& socket);
    ~Window();
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    share::wayland_client::Display& display() { return *display_; }
    share::wayland_client::Presenter& presenter() { return *presenter_; }
    wl_surface* surface() { return surface_; }
    share::Ledger& ledger() { return ledger_; }
    /// Presents with `step` in the record and waits until the compositor drew it.
    void show(const std::shared_ptr<share::Buffer>& buffer, share::Step step);

private:
    share::Ledger ledger_{"test"};
    std::unique_ptr<share::wayland_client::Display> display_;
    wl_compositor* compositor_ = nullptr;
    wl_surface* surface_ = nullptr;
    xdg_wm_base* shell_ = nullptr;
    xdg_surface* shell_surface_ = nullptr;
    xdg_toplevel* toplevel_ = nullptr;
    bool configured_ = false;
    std::unique_ptr<share::wayland_client::Presenter> presenter_;
};

} // namespace testing
