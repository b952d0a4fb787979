// SPDX-License-Identifier: MIT
#include "wayland/xdg_surface.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "wayland/xdg_popup.hpp"
#include "wayland/xdg_positioner.hpp"
#include "wayland/xdg_toplevel.hpp"

namespace compositor::wayland {

const XdgSurface::Requests XdgSurface::requests{
    {.destroy = request<&XdgSurface::destroy_request>,
     .get_toplevel = request<&XdgSurface::get_toplevel>,
     .get_popup = request<&XdgSurface::get_popup>,
     .set_window_geometry = request<&XdgSurface::set_window_geometry>,
     .ack_configure = request<&XdgSurface::ack_configure>}};

XdgSurface::XdgSurface(NewResource resource, XdgWmBase& wm_base, Surface& surface, Quota::Token token)
    : Resource(resource),
      context_(wm_base.context()),
      wm_base_(wm_base),
      surface_(surface),
      token_(std::move(token)) {
    wm_base.surface_made();
    surface.set_role(this, false);
}

XdgSurface::~XdgSurface() {
    if (wm_base_) wm_base_->surface_gone();
    if (surface_) surface_->set_role(nullptr, false);
}

Outcome XdgSurface::destroy_request() {
    if (role_)
        return refuse(XDG_SURFACE_ERROR_DEFUNCT_ROLE_OBJECT,
                      "its xdg_toplevel or xdg_popup must be destroyed first");
    destroy();
    return accepted;
}

Outcome XdgSurface::check_constructible(RoleKind kind) const {
    if (role_) return refuse(XDG_SURFACE_ERROR_ALREADY_CONSTRUCTED, "this xdg_surface has a role object");
    const bool other = surface_ && surface_->role_kind() != RoleKind::none && surface_->role_kind() != kind;
    if (other)
        return refuse_on(wm_base_ ? wm_base_->resource() : nullptr, XDG_WM_BASE_ERROR_ROLE,
                         "the wl_surface had another role before");
    return accepted;
}

Outcome XdgSurface::get_toplevel(std::uint32_t id) {
    if (auto refused = check_constructible(RoleKind::toplevel)) return refused;
    auto token = context_.quota.take(client(), Quota::Kind::object);
    if (!token) return Quota::refusal(Quota::Kind::object);
    role_ = XdgToplevel::create(client(), version(), id, *this, std::move(token));
    if (!surface_ || !role_) return accepted;
    surface_->set_role_kind(RoleKind::toplevel);
    surface_->set_role(this, true);
    return accepted;
}

Outcome XdgSurface::get_popup(std::uint32_t id, wl_resource* parent_resource,
                              wl_resource* positioner_resource) {
    if (auto refused = check_constructible(RoleKind::popup)) return refused;
    XdgSurface* parent = XdgSurface::from(parent_resource);
    wl_resource* base = wm_base_ ? wm_base_->resource() : nullptr;
    if (parent_resource && (!parent || !parent->role() || parent == this))
        return refuse_on(base, XDG_WM_BASE_ERROR_INVALID_POPUP_PARENT, "the parent has no role");
    const XdgPositioner* positioner = XdgPositioner::from(positioner_resource);
    if (!positioner || !positioner->rules().complete())
        return refuse_on(base, XDG_WM_BASE_ERROR_INVALID_POSITIONER,
                         "the positioner has no size or no anchor rectangle");
    auto token = context_.quota.take(client(), Quota::Kind::object);
    if (!token) return Quota::refusal(Quota::Kind::object);
    role_ = XdgPopup::create(client(), version(), id, *this, parent, positioner->rules(), std::move(token));
    if (!surface_ || !role_) return accepted;
    surface_->set_role_kind(RoleKind::popup);
    surface_->set_role(this, true);
    return accepted;
}

Outcome XdgSurface::set_window_geometry(std::int32_t x, std::int32_t y, std::int32_t width,
                                        std::int32_t height) {
    if (!role_) return refuse(XDG_SURFACE_ERROR_NOT_CONSTRUCTED, "set_window_geometry before a role object");
    if (width <= 0 || height <= 0)
        return refuse(XDG_SURFACE_ERROR_INVALID_SIZE,
                      fmt::format("geometry {} x {} is not positive", width, height));
    pending_geometry_ = scene::clamped(scene::Rect{x, y, width, height});
    return accepted;
}

std::uint32_t XdgSurface::send_configure() {
    const std::uint32_t serial = wl_display_next_serial(context_.display);
    unacked_.push_back(serial);
    if (unacked_.size() > max_unacked) wl_client_post_no_memory(client());
    xdg_surface_send_configure(resource(), serial);
    return serial;
}

Outcome XdgSurface::ack_configure(std::uint32_t serial) {
    if (!role_) return refuse(XDG_SURFACE_ERROR_NOT_CONSTRUCTED, "ack_configure before a role object");
    const auto found = std::find(unacked_.begin(), unacked_.end(), serial);
    if (found == unacked_.end())
        return refuse(XDG_SURFACE_ERROR_INVALID_SERIAL,
                      fmt::format("serial {} was not sent, or it or a later one was acked before", serial));
    unacked_.erase(unacked_.begin(), found + 1);
    configured_ = configured_ || initialized_;
    role_->acked(serial);
    return accepted;
}

scene::Rect XdgSurface::geometry() const {
    if (!surface_) return {};
    const scene::Rect bounds = surface_->node().bounds();
    if (!geometry_) return bounds;
    scene::Region clipped(*geometry_);
    clipped.intersect(bounds);
    return clipped.empty() ? bounds : clipped.extents();
}

Outcome XdgSurface::committing(bool has_buffer) {
    if (!role_)
        return refuse_on(resource(), XDG_SURFACE_ERROR_NOT_CONSTRUCTED, "commit before a role object");
    if (has_buffer && !configured_)
        return refuse_on(resource(), XDG_SURFACE_ERROR_UNCONFIGURED_BUFFER,
                         "a buffer was committed before the first configure was acked");
    return role_->committing();
}

void XdgSurface::moved(int dx, int dy) {
    if (role_ && mapped_) role_->moved(dx, dy);
}

Outcome XdgSurface::applied() {
    if (pending_geometry_) geometry_ = std::exchange(pending_geometry_, std::nullopt);
    if (!role_) return accepted;
    const bool has_buffer = surface_ && surface_->has_buffer();
    if (!initialized_) {
        initialized_ = true;
        return role_->initial_commit();
    }
    if (has_buffer && !mapped_) {
        mapped_ = true;
        return role_->mapped();
    }
    if (!has_buffer && mapped_) {
        role_->unmapped();
        reset();
        return accepted;
    }
    return mapped_ ? role_->updated() : accepted;
}

void XdgSurface::reset() {
    mapped_ = initialized_ = configured_ = false;
    unacked_.clear();
    geometry_.reset();
    pending_geometry_.reset();
}

void XdgSurface::role_gone() {
    role_ = nullptr;
    reset();
    if (!surface_) return;
    surface_->set_role(this, false);
    surface_->unmap();
}

} // namespace compositor::wayland
