// SPDX-License-Identifier: MIT
#include "scene/surface_map.hpp"

#include <algorithm>
#include <cmath>

namespace compositor::scene {
namespace {

// Boxes beyond this are one box: what a client's damage costs is bounded.
constexpr std::size_t max_damage_boxes = 256;

Rect outward(const RectF& r) {
    constexpr double slack = 1e-6; // a division's rounding must not claim another pixel
    const auto limit = [](double v) {
        return static_cast<int>(std::clamp(v, -double{max_coordinate}, double{max_coordinate}));
    };
    const int x1 = limit(std::floor(r.x + slack)), y1 = limit(std::floor(r.y + slack));
    const int x2 = limit(std::ceil(r.x + r.width - slack)), y2 = limit(std::ceil(r.y + r.height - slack));
    return {x1, y1, std::max(0, x2 - x1), std::max(0, y2 - y1)};
}

/// How far a filter reaches: a scaled picture's pixels depend on their neighbours.
RectF grown(RectF r, double by) {
    return {r.x - by, r.y - by, r.width + 2 * by, r.height + 2 * by};
}

template<class F>
Region map_boxes(const Region& from, F map_one) {
    Region out;
    const auto boxes = from.boxes();
    if (boxes.size() > max_damage_boxes) {
        const Rect all = from.extents();
        out.add(map_one(RectF{double(all.x), double(all.y), double(all.width), double(all.height)}));
        return out;
    }
    for (const auto& b : boxes)
        out.add(map_one(RectF{double(b.x1), double(b.y1), double(b.x2 - b.x1), double(b.y2 - b.y1)}));
    return out;
}

} // namespace

int clamped(int coordinate) {
    return std::clamp(coordinate, -max_coordinate, max_coordinate);
}

Rect clamped(const Rect& rect) {
    const auto edge = [](std::int64_t v) {
        return static_cast<int>(std::clamp<std::int64_t>(v, -max_coordinate, max_coordinate));
    };
    const int x1 = edge(rect.x), y1 = edge(rect.y);
    const int x2 = edge(std::int64_t{rect.x} + std::max(0, rect.width));
    const int y2 = edge(std::int64_t{rect.y} + std::max(0, rect.height));
    return {x1, y1, x2 - x1, y2 - y1};
}

bool swaps_axes(Transform transform) {
    return (static_cast<unsigned>(transform) & 1U) != 0;
}

Transform inverse(Transform transform) {
    if (transform == Transform::rotate90) return Transform::rotate270;
    if (transform == Transform::rotate270) return Transform::rotate90;
    return transform; // the others are their own inverses
}

RectF transformed(const RectF& r, Transform transform, double width, double height) {
    const double right = width - r.x - r.width, below = height - r.y - r.height;
    switch (transform) {
    case Transform::normal:
        return r;
    case Transform::rotate90:
        return {r.y, right, r.height, r.width};
    case Transform::rotate180:
        return {right, below, r.width, r.height};
    case Transform::rotate270:
        return {below, r.x, r.height, r.width};
    case Transform::flipped:
        return {right, r.y, r.width, r.height};
    case Transform::flipped90:
        return {r.y, r.x, r.height, r.width};
    case Transform::flipped180:
        return {r.x, below, r.width, r.height};
    case Transform::flipped270:
        return {below, right, r.height, r.width};
    }
    return r;
}

RectF SurfaceMap::unscaled() const {
    const double w = double(buffer.width) / scale, h = double(buffer.height) / scale;
    return swaps_axes(transform) ? RectF{0, 0, h, w} : RectF{0, 0, w, h};
}

Size SurfaceMap::size() const {
    if (destination)
        return {std::min(destination->width, max_coordinate), std::min(destination->height, max_coordinate)};
    const RectF shown = source.value_or(unscaled());
    return {static_cast<int>(std::ceil(shown.width)), static_cast<int>(std::ceil(shown.height))};
}

RectF SurfaceMap::buffer_source() const {
    const RectF all = unscaled();
    const RectF part = transformed(source.value_or(all), transform, all.width, all.height);
    return {part.x * scale, part.y * scale, part.width * scale, part.height * scale};
}

Region SurfaceMap::to_surface(const Region& buffer_region) const {
    const RectF all = unscaled();
    const RectF shown = source.value_or(all);
    const Size out = size();
    if (shown.width <= 0 || shown.height <= 0) return {};
    const double fx = out.width / shown.width, fy = out.height / shown.height;
    const bool filtered = fx != 1 || fy != 1 || shown.x != std::floor(shown.x) ||
                          shown.y != std::floor(shown.y) || (scale != 1);
    const double buffer_width = double(buffer.width) / scale, buffer_height = double(buffer.height) / scale;
    Region clipped = buffer_region;
    clipped.intersect(Rect{0, 0, buffer.width, buffer.height});
    Region result = map_boxes(clipped, [&](RectF r) {
        if (filtered) r = grown(r, 1);
        r = {r.x / scale, r.y / scale, r.width / scale, r.height / scale};
        r = transformed(r, inverse(transform), buffer_width, buffer_height);
        return outward({(r.x - shown.x) * fx, (r.y - shown.y) * fy, r.width * fx, r.height * fy});
    });
    result.intersect(Rect{0, 0, out.width, out.height});
    return result;
}

Region SurfaceMap::to_buffer(const Region& surface_region) const {
    const RectF all = unscaled();
    const RectF shown = source.value_or(all);
    const Size out = size();
    if (out.width <= 0 || out.height <= 0) return {};
    const double fx = shown.width / out.width, fy = shown.height / out.height;
    Region clipped = surface_region;
    clipped.intersect(Rect{0, 0, out.width, out.height});
    Region result = map_boxes(clipped, [&](RectF r) {
        r = {shown.x + r.x * fx, shown.y + r.y * fy, r.width * fx, r.height * fy};
        r = transformed(r, transform, all.width, all.height);
        return outward({r.x * scale, r.y * scale, r.width * scale, r.height * scale});
    });
    result.intersect(Rect{0, 0, buffer.width, buffer.height});
    return result;
}

} // namespace compositor::scene
