// SPDX-License-Identifier: MIT
#include "render/geometry.hpp"

#include <cmath>

namespace compositor::render {

namespace {

using scene::Transform;

// a, b (0 to 1 in the buffer's part) from u, v (0 to 1 in the item's rectangle): a = au*u + av*v + a0.
struct Unit {
    double au, av, a0, bu, bv, b0;
};

Unit unit_of(Transform transform) {
    switch (transform) {
    case Transform::normal:
        return {1, 0, 0, 0, 1, 0};
    case Transform::rotate90:
        return {0, 1, 0, -1, 0, 1};
    case Transform::rotate180:
        return {-1, 0, 1, 0, -1, 1};
    case Transform::rotate270:
        return {0, -1, 1, 1, 0, 0};
    case Transform::flipped:
        return {-1, 0, 1, 0, 1, 0};
    case Transform::flipped90:
        return {0, 1, 0, 1, 0, 0};
    case Transform::flipped180:
        return {1, 0, 0, 0, -1, 1};
    case Transform::flipped270:
        return {0, -1, 1, -1, 0, 1};
    }
    return {1, 0, 0, 0, 1, 0};
}

bool turned(Transform transform) {
    return (static_cast<unsigned>(transform) & 1U) != 0;
}
bool whole(double value) {
    return value == std::floor(value);
}

} // namespace

Affine output_to_buffer(const scene::Item& item) {
    const Unit unit = unit_of(item.transform);
    const auto& s = item.source;
    const double w = item.dest.width, h = item.dest.height;
    Affine m;
    m.xx = unit.au * s.width / w;
    m.xy = unit.av * s.width / h;
    m.x0 = s.x + unit.a0 * s.width - m.xx * item.dest.x - m.xy * item.dest.y;
    m.yx = unit.bu * s.height / w;
    m.yy = unit.bv * s.height / h;
    m.y0 = s.y + unit.b0 * s.height - m.yx * item.dest.x - m.yy * item.dest.y;
    return m;
}

Placement place(const scene::Item& item) {
    Placement placement;
    const auto& s = item.source;
    if (!whole(s.x) || !whole(s.y) || !whole(s.width) || !whole(s.height)) return placement;
    const double shown_width = turned(item.transform) ? s.height : s.width;
    const double shown_height = turned(item.transform) ? s.width : s.height;
    placement.nearest = whole(item.dest.width / shown_width) && whole(item.dest.height / shown_height);
    placement.one_to_one = item.transform == Transform::normal && item.dest.width == shown_width &&
                           item.dest.height == shown_height;
    placement.dx = static_cast<int>(s.x) - item.dest.x;
    placement.dy = static_cast<int>(s.y) - item.dest.y;
    return placement;
}

scene::Region visible_part(const scene::Item& item, int width, int height) {
    scene::Region part;
    if (item.dest.width <= 0 || item.dest.height <= 0) return part;
    if (item.content && !(item.source.width > 0 && item.source.height > 0)) return part;
    part = item.clip;
    part.intersect(item.dest);
    part.intersect(scene::Rect{0, 0, width, height});
    return part;
}

} // namespace compositor::render
