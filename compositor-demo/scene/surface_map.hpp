// SPDX-License-Identifier: MIT
// SurfaceMap: how a buffer's pixels map to surface-local coordinates, through buffer transform, buffer scale
// and viewport, in this order. A value type of any thread; integer results are rounded outwards.
// Source: wl_surface.set_buffer_transform and set_buffer_scale, wp_viewport.
#pragma once

#include <optional>

#include "scene/frame.hpp"

namespace compositor::scene {

struct Size {
    int width = 0, height = 0;
    friend bool operator==(const Size&, const Size&) = default;
};

/// Coordinates of the protocol are any int32; beyond these bounds they are clamped, so that sums of a tree's
/// positions and sizes stay in range.
inline constexpr int max_coordinate = 1 << 20;
Rect clamped(const Rect& rect);
int clamped(int coordinate);

struct SurfaceMap {
    Size buffer;
    int scale = 1;
    Transform transform = Transform::normal;
    std::optional<RectF> source;     ///< of the viewport, in surface coordinates before its scaling
    std::optional<Size> destination; ///< of the viewport

    /// The buffer in surface coordinates, before the viewport. May be fractional for a viewport's check.
    RectF unscaled() const;
    Size size() const;
    /// The part of the buffer that is shown, in buffer pixels.
    RectF buffer_source() const;
    /// Damage of the buffer as surface-local damage, clipped to the surface.
    Region to_surface(const Region& buffer_region) const;
    /// Surface-local damage as damage of the buffer, clipped to the buffer.
    Region to_buffer(const Region& surface_region) const;

    friend bool operator==(const SurfaceMap&, const SurfaceMap&) = default;
};

/// Where a rectangle of an untransformed image of `width` x `height` lies in the transformed one.
RectF transformed(const RectF& rect, Transform transform, double width, double height);
/// The transform that undoes this one.
Transform inverse(Transform transform);
bool swaps_axes(Transform transform);

} // namespace compositor::scene
