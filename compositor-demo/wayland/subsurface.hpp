// SPDX-License-Identifier: MIT
// wl_subcompositor and wl_subsurface, version 1. Thread: the display's. Source: wayland.xml.
#pragma once

#include "wayland/surface.hpp"

namespace compositor::wayland {

class Subsurface : public Resource<Subsurface, &wl_subsurface_interface, struct wl_subsurface_interface>,
                   public SurfaceRole {
public:
    static const Requests requests;
    /// Trees deeper than this cost their client the connection.
    static constexpr int max_depth = 32;

    Subsurface(NewResource resource, Surface& surface, Surface& parent, Quota::Token token);
    ~Subsurface() override;

    Surface* surface() const noexcept { return surface_.get(); }
    Surface* parent() const noexcept { return parent_.get(); }
    /// Its own mode, or that of any sub-surface that it hangs on.
    bool effectively_sync() const noexcept;
    /// `commit`: as Surface::apply_cached.
    Outcome parent_applied(std::optional<std::uint64_t> commit);
    void parent_gone();

private:
    Outcome committing(bool) override { return accepted; }
    Outcome applied() override { return accepted; }
    void moved(int dx, int dy) override;

    void set_position(std::int32_t x, std::int32_t y);
    Outcome place_above(wl_resource* sibling);
    Outcome place_below(wl_resource* sibling);
    Outcome place(wl_resource* sibling, bool above);
    void set_sync() { sync_ = true; }
    Outcome set_desync();

    Weak<Surface> surface_, parent_;
    Quota::Token token_;
    bool sync_ = true;
    int x_ = 0, y_ = 0;
    bool moved_ = false;
};

class Subcompositor
    : public Resource<Subcompositor, &wl_subcompositor_interface, struct wl_subcompositor_interface> {
public:
    static const Requests requests;
    Subcompositor(NewResource resource, Context& context, Quota::Token token)
        : Resource(resource), context_(context), token_(std::move(token)) {}

private:
    Outcome get_subsurface(std::uint32_t id, wl_resource* surface, wl_resource* parent);
    Context& context_;
    Quota::Token token_;
};

} // namespace compositor::wayland
