// SPDX-License-Identifier: MIT
#include "window.hpp"

#include <catch2/catch_test_macros.hpp>

#include <wayland-client.h>

#include "xdg-shell-client.h"

namespace testing {
namespace {

using share::Deadline;
namespace wl = share::wayland_client;

Deadline soon() {
    return Deadline::in(std::chrono::seconds(20));
}

const xdg_wm_base_listener shell_listener = {
    .ping = [](void*, xdg_wm_base* shell, std::uint32_t serial) noexcept { xdg_wm_base_pong(shell, serial); },
};
const xdg_surface_listener surface_listener = {
    .configure =
        [](void* configured, xdg_surface* surface, std::uint32_t serial) noexcept {
            xdg_surface_ack_configure(surface, serial);
            *static_cast<bool*>(configured) = true;
        },
};

} // namespace

Window::Window(const std::string& socket) {
    auto connected = wl::Display::connect(soon(), socket);
    if (!connected) FAIL(connected.error().text());
    display_ = *std::move(connected);
    compositor_ = static_cast<wl_compositor*>(display_->bind(&wl_compositor_interface, 4));
    shell_ = static_cast<xdg_wm_base*>(display_->bind(&xdg_wm_base_interface, 1));
    REQUIRE(compositor_);
    REQUIRE(shell_);
    xdg_wm_base_add_listener(shell_, &shell_listener, nullptr);
    surface_ = wl_compositor_create_surface(compositor_);
    shell_surface_ = xdg_wm_base_get_xdg_surface(shell_, surface_);
    xdg_surface_add_listener(shell_surface_, &surface_listener, &configured_);
    toplevel_ = xdg_surface_get_toplevel(shell_surface_);
    // No listener: a toplevel's events tell of sizes and of closing, which a test decides itself.
    wl_surface_commit(surface_);
    const auto configured = display_->wait_until([this] { return configured_; }, soon());
    if (!configured) FAIL(configured.error().text());
    auto presenter = wl::Presenter::create(*display_, surface_, ledger_, soon());
    if (!presenter) FAIL(presenter.error().text());
    presenter_ = *std::move(presenter);
    // Nothing goes because a test looked at pictures for a while.
    presenter_->set_idle_after(std::chrono::hours(24));
}

Window::~Window() {
    presenter_.reset();
    if (toplevel_) xdg_toplevel_destroy(toplevel_);
    if (shell_surface_) xdg_surface_destroy(shell_surface_);
    if (shell_) xdg_wm_base_destroy(shell_);
    if (surface_) wl_surface_destroy(surface_);
    if (compositor_) wl_compositor_destroy(compositor_);
}

void Window::show(const std::shared_ptr<share::Buffer>& buffer, share::Step step) {
    share::FrameRecord record;
    record.stream = "test";
    record.steps.push_back(std::move(step));
    const auto shown = presenter_->present(buffer, {}, std::move(record), soon());
    if (!shown) FAIL(shown.error().text());
    const auto drawn = presenter_->wait_shown(soon());
    if (!drawn) FAIL(drawn.error().text());
}

} // namespace testing
