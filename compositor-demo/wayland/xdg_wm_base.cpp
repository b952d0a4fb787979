// SPDX-License-Identifier: MIT
#include "wayland/xdg_wm_base.hpp"

#include <fmt/format.h>

#include "wayland/xdg_positioner.hpp"
#include "wayland/xdg_surface.hpp"

namespace compositor::wayland {
const XdgWmBase::Requests XdgWmBase::requests{{.destroy = request<&XdgWmBase::destroy_request>,
                                               .create_positioner = request<&XdgWmBase::create_positioner>,
                                               .get_xdg_surface = request<&XdgWmBase::get_xdg_surface>,
                                               .pong = request<&XdgWmBase::pong>}};

XdgWmBase::~XdgWmBase() {
    if (timer_) wl_event_source_remove(timer_);
}

Outcome XdgWmBase::destroy_request() {
    if (surfaces_ > 0)
        return refuse(XDG_WM_BASE_ERROR_DEFUNCT_SURFACES,
                      fmt::format("{} xdg_surfaces are still alive", surfaces_));
    destroy();
    return accepted;
}

Outcome XdgWmBase::create_positioner(std::uint32_t id) {
    auto token = context_.quota.take(client(), Quota::Kind::object);
    if (!token) return Quota::refusal(Quota::Kind::object);
    XdgPositioner::create(client(), version(), id, std::move(token));
    return accepted;
}

Outcome XdgWmBase::get_xdg_surface(std::uint32_t id, wl_resource* surface_resource) {
    Surface* surface = Surface::from(surface_resource);
    if (surface->role() || surface->role_kind() == RoleKind::subsurface)
        return refuse(XDG_WM_BASE_ERROR_ROLE, fmt::format("wl_surface {} has a role already", surface->id()));
    if (surface->ever_touched_a_buffer())
        return refuse(XDG_WM_BASE_ERROR_INVALID_SURFACE_STATE,
                      fmt::format("wl_surface {} has a buffer already", surface->id()));
    auto token = context_.quota.take(client(), Quota::Kind::object);
    if (!token) return Quota::refusal(Quota::Kind::object);
    XdgSurface::create(client(), version(), id, *this, *surface, std::move(token));
    return accepted;
}

void XdgWmBase::ping() {
    if (ping_serial_ != 0) return;
    if (!timer_)
        timer_ = wl_event_loop_add_timer(wl_display_get_event_loop(context_.display), &timed_out, this);
    if (!timer_) return;
    ping_serial_ = wl_display_next_serial(context_.display);
    wl_event_source_timer_update(timer_, context_.ping_patience_ms);
    xdg_wm_base_send_ping(resource(), ping_serial_);
}

void XdgWmBase::pong(std::uint32_t serial) {
    if (serial != ping_serial_ || ping_serial_ == 0) return;
    ping_serial_ = 0;
    hung_ = false;
    wl_event_source_timer_update(timer_, 0);
}

int XdgWmBase::timed_out(void* self) noexcept {
    static_cast<XdgWmBase*>(self)->hung_ = true;
    return 0;
}

} // namespace compositor::wayland
