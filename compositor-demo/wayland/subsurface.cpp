// SPDX-License-Identifier: MIT
#include "wayland/subsurface.hpp"

#include <fmt/format.h>

namespace compositor::wayland {

const Subsurface::Requests Subsurface::requests{{.destroy = request<&Subsurface::destroy>,
                                                 .set_position = request<&Subsurface::set_position>,
                                                 .place_above = request<&Subsurface::place_above>,
                                                 .place_below = request<&Subsurface::place_below>,
                                                 .set_sync = request<&Subsurface::set_sync>,
                                                 .set_desync = request<&Subsurface::set_desync>}};

const Subcompositor::Requests Subcompositor::requests{
    {.destroy = request<&Subcompositor::destroy>, .get_subsurface = request<&Subcompositor::get_subsurface>}};

Subsurface::Subsurface(NewResource resource, Surface& surface, Surface& parent, Quota::Token token)
    : Resource(resource), surface_(surface), parent_(parent), token_(std::move(token)) {
    surface.set_role_kind(RoleKind::subsurface);
    surface.set_role(this, true);
    surface.set_subsurface(this);
    parent.add_child(*this);
}

Subsurface::~Subsurface() {
    if (parent_) parent_->remove_child(*this);
    if (!surface_) return;
    surface_->node().detach();
    surface_->node().set_position(0, 0);
    surface_->drop_cached();
    surface_->set_role(nullptr, false);
    surface_->set_subsurface(nullptr);
}

void Subsurface::parent_gone() {
    parent_.reset();
    if (surface_) surface_->node().detach();
}

bool Subsurface::effectively_sync() const noexcept {
    for (const Subsurface* s = this; s; s = s->parent_ ? s->parent_->subsurface() : nullptr)
        if (s->sync_) return true;
    return false;
}

Outcome Subsurface::parent_applied(std::optional<std::uint64_t> commit) {
    if (!surface_) return accepted;
    if (std::exchange(moved_, false)) surface_->node().set_position(x_, y_);
    return effectively_sync() ? surface_->apply_cached(commit) : accepted;
}

void Subsurface::set_position(std::int32_t x, std::int32_t y) {
    x_ = scene::clamped(x);
    y_ = scene::clamped(y);
    moved_ = true;
}

// Beside set_position(), which counts from the parent and comes with the parent's commit.
void Subsurface::moved(int dx, int dy) {
    if (!surface_) return;
    if (!moved_) {
        x_ = scene::clamped(x_ + dx);
        y_ = scene::clamped(y_ + dy);
    }
    scene::Node& node = surface_->node();
    node.set_position(scene::clamped(node.x() + dx), scene::clamped(node.y() + dy));
}

Outcome Subsurface::place_above(wl_resource* sibling) {
    return place(sibling, true);
}
Outcome Subsurface::place_below(wl_resource* sibling) {
    return place(sibling, false);
}

Outcome Subsurface::place(wl_resource* sibling, bool above) {
    const Surface* reference = Surface::from(sibling);
    if (!surface_ || !parent_) return accepted; // inert: there are no siblings any more
    if (!reference || !parent_->restack_child(*this, *reference, above))
        return refuse(WL_SUBSURFACE_ERROR_BAD_SURFACE, "the reference is neither the parent nor a sibling");
    return accepted;
}

Outcome Subsurface::set_desync() {
    sync_ = false;
    return surface_ && !effectively_sync() ? surface_->schedule_cached() : accepted;
}

Outcome Subcompositor::get_subsurface(std::uint32_t id, wl_resource* surface_resource,
                                      wl_resource* parent_resource) {
    Surface* surface = Surface::from(surface_resource);
    Surface* parent = Surface::from(parent_resource);
    if (!surface || !parent) return refuse(WL_SUBCOMPOSITOR_ERROR_BAD_SURFACE, "no such wl_surface");
    if (surface->role() ||
        (surface->role_kind() != RoleKind::none && surface->role_kind() != RoleKind::subsurface))
        return refuse(WL_SUBCOMPOSITOR_ERROR_BAD_SURFACE,
                      fmt::format("wl_surface {} has a role already", surface->id()));
    int depth = surface->tree_height();
    for (const Surface* s = parent; s; s = s->subsurface() ? s->subsurface()->parent() : nullptr) {
        if (s == surface)
            return refuse(WL_SUBCOMPOSITOR_ERROR_BAD_PARENT,
                          "a sub-surface of itself or of its own sub-surfaces");
        if (++depth > Subsurface::max_depth)
            return refuse_no_memory(fmt::format("sub-surfaces nested deeper than {}", Subsurface::max_depth));
    }
    auto token = context_.quota.take(client(), Quota::Kind::object);
    if (!token) return Quota::refusal(Quota::Kind::object);
    Subsurface::create(client(), version(), id, *surface, *parent, std::move(token));
    return accepted;
}

} // namespace compositor::wayland
