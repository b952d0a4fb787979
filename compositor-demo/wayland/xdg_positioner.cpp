// SPDX-License-Identifier: MIT
#include "wayland/xdg_positioner.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace compositor::wayland {
namespace {

/// Both axes follow one rule; -1 towards left or top, 1 towards right or bottom.
struct Axis {
    int anchor_start, anchor_length, length, offset;
    int anchor, gravity;
    int bound_start, bound_end;
    bool slide, flip, resize;
};

struct Span {
    int start, length;
};

Span unconstrained(const Axis& a, int anchor, int gravity) {
    int at = a.anchor_start + (anchor < 0 ? 0 : anchor > 0 ? a.anchor_length : a.anchor_length / 2);
    at += gravity < 0 ? -a.length : gravity > 0 ? 0 : -a.length / 2;
    return {at + a.offset, a.length};
}

bool fits(const Axis& a, Span s) {
    return s.start >= a.bound_start && s.start + s.length <= a.bound_end;
}

Span place(const Axis& a) {
    Span span = unconstrained(a, a.anchor, a.gravity);
    if (fits(a, span)) return span;
    if (a.flip) {
        const Span flipped = unconstrained(a, -a.anchor, -a.gravity);
        if (fits(a, flipped)) return flipped;
    }
    if (a.slide) {
        // Towards the gravity last, so that this edge is the one that stays inside.
        const int low = a.bound_start, high = a.bound_end - span.length;
        span.start = a.gravity >= 0 ? std::max(std::min(span.start, high), low)
                                    : std::min(std::max(span.start, low), high);
        if (fits(a, span)) return span;
    }
    if (a.resize) {
        const int start = std::max(span.start, a.bound_start),
                  end = std::min(span.start + span.length, a.bound_end);
        if (end > start) return {start, end - start};
    }
    return span;
}

// anchor and gravity have the same values for the same directions.
int horizontal(std::uint32_t d) {
    switch (d) {
    case XDG_POSITIONER_ANCHOR_LEFT:
    case XDG_POSITIONER_ANCHOR_TOP_LEFT:
    case XDG_POSITIONER_ANCHOR_BOTTOM_LEFT:
        return -1;
    case XDG_POSITIONER_ANCHOR_RIGHT:
    case XDG_POSITIONER_ANCHOR_TOP_RIGHT:
    case XDG_POSITIONER_ANCHOR_BOTTOM_RIGHT:
        return 1;
    default:
        return 0;
    }
}
int vertical(std::uint32_t d) {
    switch (d) {
    case XDG_POSITIONER_ANCHOR_TOP:
    case XDG_POSITIONER_ANCHOR_TOP_LEFT:
    case XDG_POSITIONER_ANCHOR_TOP_RIGHT:
        return -1;
    case XDG_POSITIONER_ANCHOR_BOTTOM:
    case XDG_POSITIONER_ANCHOR_BOTTOM_LEFT:
    case XDG_POSITIONER_ANCHOR_BOTTOM_RIGHT:
        return 1;
    default:
        return 0;
    }
}

} // namespace

const XdgPositioner::Requests XdgPositioner::requests{
    {.destroy = request<&XdgPositioner::destroy>,
     .set_size = request<&XdgPositioner::set_size>,
     .set_anchor_rect = request<&XdgPositioner::set_anchor_rect>,
     .set_anchor = request<&XdgPositioner::set_anchor>,
     .set_gravity = request<&XdgPositioner::set_gravity>,
     .set_constraint_adjustment = request<&XdgPositioner::set_constraint_adjustment>,
     .set_offset = request<&XdgPositioner::set_offset>,
     .set_reactive = request<&XdgPositioner::set_reactive>,
     .set_parent_size = request<&XdgPositioner::set_parent_size>,
     .set_parent_configure = request<&XdgPositioner::set_parent_configure>}};

scene::Rect PositionRules::place(const scene::Rect& bounds) const {
    const auto has = [&](std::uint32_t bit) { return (adjustment & bit) != 0; };
    const Span x = wayland::place({anchor_rect.x, anchor_rect.width, size.width, offset_x, horizontal(anchor),
                                   horizontal(gravity), bounds.x, bounds.x + bounds.width,
                                   has(XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_SLIDE_X),
                                   has(XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_FLIP_X),
                                   has(XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_RESIZE_X)});
    const Span y = wayland::place({anchor_rect.y, anchor_rect.height, size.height, offset_y, vertical(anchor),
                                   vertical(gravity), bounds.y, bounds.y + bounds.height,
                                   has(XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_SLIDE_Y),
                                   has(XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_FLIP_Y),
                                   has(XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_RESIZE_Y)});
    return {x.start, y.start, x.length, y.length};
}

Outcome XdgPositioner::set_size(std::int32_t width, std::int32_t height) {
    if (width <= 0 || height <= 0)
        return refuse(XDG_POSITIONER_ERROR_INVALID_INPUT,
                      fmt::format("size {} x {} is not positive", width, height));
    rules_.size = {std::min(width, scene::max_coordinate), std::min(height, scene::max_coordinate)};
    return accepted;
}

Outcome XdgPositioner::set_anchor_rect(std::int32_t x, std::int32_t y, std::int32_t width,
                                       std::int32_t height) {
    if (width < 0 || height < 0)
        return refuse(XDG_POSITIONER_ERROR_INVALID_INPUT,
                      fmt::format("anchor rectangle {} x {} is negative", width, height));
    rules_.anchor_rect = scene::clamped(scene::Rect{x, y, width, height});
    rules_.has_anchor_rect = true;
    return accepted;
}

Outcome XdgPositioner::set_anchor(std::uint32_t anchor) {
    if (anchor > XDG_POSITIONER_ANCHOR_BOTTOM_RIGHT)
        return refuse(XDG_POSITIONER_ERROR_INVALID_INPUT, fmt::format("{} is no anchor", anchor));
    rules_.anchor = anchor;
    return accepted;
}

Outcome XdgPositioner::set_gravity(std::uint32_t gravity) {
    if (gravity > XDG_POSITIONER_GRAVITY_BOTTOM_RIGHT)
        return refuse(XDG_POSITIONER_ERROR_INVALID_INPUT, fmt::format("{} is no gravity", gravity));
    rules_.gravity = gravity;
    return accepted;
}

void XdgPositioner::set_offset(std::int32_t x, std::int32_t y) {
    rules_.offset_x = scene::clamped(x);
    rules_.offset_y = scene::clamped(y);
}

Outcome XdgPositioner::set_parent_size(std::int32_t width, std::int32_t height) {
    if (width < 0 || height < 0)
        return refuse(XDG_POSITIONER_ERROR_INVALID_INPUT,
                      fmt::format("parent size {} x {} is negative", width, height));
    return accepted;
}

} // namespace compositor::wayland
