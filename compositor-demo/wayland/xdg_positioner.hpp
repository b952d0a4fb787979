// SPDX-License-Identifier: MIT
// xdg_positioner: rules for the place of a popup, and the place itself. Thread: the display's.
// Units: surface-local, relative to the parent's window geometry. Source: xdg-shell.xml.
#pragma once

#include "scene/surface_map.hpp"
#include "wayland/quota.hpp"

#include <xdg-shell-server.h>

namespace compositor::wayland {

/// The rules, copied out of the object when they are used.
struct PositionRules {
    scene::Size size;
    scene::Rect anchor_rect;
    std::uint32_t anchor = XDG_POSITIONER_ANCHOR_NONE;
    std::uint32_t gravity = XDG_POSITIONER_GRAVITY_NONE;
    std::uint32_t adjustment = XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_NONE;
    int offset_x = 0, offset_y = 0;
    bool reactive = false;
    bool has_anchor_rect = false;

    bool complete() const noexcept { return size.width > 0 && size.height > 0 && has_anchor_rect; }
    /// Where the popup goes within `bounds` (of the output, relative to the parent's geometry).
    scene::Rect place(const scene::Rect& bounds) const;
};

class XdgPositioner
    : public Resource<XdgPositioner, &xdg_positioner_interface, struct xdg_positioner_interface> {
public:
    static const Requests requests;
    XdgPositioner(NewResource resource, Quota::Token token) : Resource(resource), token_(std::move(token)) {}
    const PositionRules& rules() const noexcept { return rules_; }

private:
    Outcome set_size(std::int32_t width, std::int32_t height);
    Outcome set_anchor_rect(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height);
    Outcome set_anchor(std::uint32_t anchor);
    Outcome set_gravity(std::uint32_t gravity);
    void set_constraint_adjustment(std::uint32_t adjustment) { rules_.adjustment = adjustment; }
    void set_offset(std::int32_t x, std::int32_t y);
    void set_reactive() { rules_.reactive = true; }
    Outcome set_parent_size(std::int32_t width, std::int32_t height);
    void set_parent_configure(std::uint32_t) {}
    Quota::Token token_;
    PositionRules rules_;
};

} // namespace compositor::wayland
