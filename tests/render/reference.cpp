// SPDX-License-Identifier: MIT
#include "reference.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace testing {

namespace {

using Rgba = std::array<double, 4>; // blue, green, red, alpha as in memory

Rgba unpack(std::uint32_t pixel) {
    Rgba c{};
    for (unsigned i = 0; i < 4; ++i)
        c[i] = (pixel >> (8 * i)) & 0xff;
    return c;
}

// Undoes the transform step by step, as the protocol tells it: the client flipped around a vertical axis,
// then turned counter-clockwise by quarters. A point of the surface (u, v in 0 to 1) becomes one of the
// buffer.
std::array<double, 2> to_buffer(scene::Transform transform, double u, double v) {
    const auto value = static_cast<unsigned>(transform);
    if (value >= 4) u = 1 - u;
    for (unsigned quarter = 0; quarter < value % 4; ++quarter) {
        const double turned_u = v, turned_v = 1 - u;
        u = turned_u;
        v = turned_v;
    }
    return {u, v};
}

std::uint32_t texel(const ReferenceItem& it, int x, int y) {
    const int w = it.item.content->width(), h = it.item.content->height();
    x = std::clamp(x, 0, w - 1);
    y = std::clamp(y, 0, h - 1);
    return (
        *it.pixels)[static_cast<std::size_t>(y) * static_cast<std::size_t>(w) + static_cast<std::size_t>(x)];
}

bool exact(const scene::Item& item) {
    const bool turned = (static_cast<unsigned>(item.transform) & 1U) != 0;
    const double w = turned ? item.source.height : item.source.width,
                 h = turned ? item.source.width : item.source.height;
    return std::fmod(item.dest.width, w) == 0 && std::fmod(item.dest.height, h) == 0;
}

Rgba sample(const ReferenceItem& it, int x, int y) {
    const auto& item = it.item;
    const auto [a, b] = to_buffer(item.transform, (x + 0.5 - item.dest.x) / item.dest.width,
                                  (y + 0.5 - item.dest.y) / item.dest.height);
    const double bx = item.source.x + a * item.source.width, by = item.source.y + b * item.source.height;
    if (exact(item))
        return unpack(texel(it, static_cast<int>(std::floor(bx)), static_cast<int>(std::floor(by))));
    const double fx = bx - 0.5, fy = by - 0.5;
    const int ix = static_cast<int>(std::floor(fx)), iy = static_cast<int>(std::floor(fy));
    const double wx = fx - ix, wy = fy - iy;
    const Rgba p00 = unpack(texel(it, ix, iy)), p10 = unpack(texel(it, ix + 1, iy));
    const Rgba p01 = unpack(texel(it, ix, iy + 1)), p11 = unpack(texel(it, ix + 1, iy + 1));
    Rgba c{};
    for (std::size_t i = 0; i < 4; ++i)
        c[i] = (p00[i] * (1 - wx) + p10[i] * wx) * (1 - wy) + (p01[i] * (1 - wx) + p11[i] * wx) * wy;
    return c;
}

} // namespace

void draw_reference(Pixels& picture, int width, int height, const std::vector<ReferenceItem>& items) {
    for (const ReferenceItem& it : items)
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x) {
                if (!it.item.clip.contains({x, y, 1, 1})) continue;
                const auto& color = it.item.color;
                const Rgba source = it.item.content ? sample(it, x, y)
                                                    : Rgba{color.b * 255.0, color.g * 255.0, color.r * 255.0,
                                                           color.a * 255.0};
                std::uint32_t& out = picture[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                                             static_cast<std::size_t>(x)];
                const Rgba under = unpack(out);
                out = 0;
                for (unsigned i = 0; i < 3; ++i) {
                    const double value = source[i] + (it.item.blend ? under[i] * (1 - source[3] / 255) : 0);
                    out |= static_cast<std::uint32_t>(std::lround(std::clamp(value, 0.0, 255.0))) << (8 * i);
                }
            }
}

int difference(const Pixels& a, const Pixels& b) {
    int worst = a.size() == b.size() ? 0 : 255;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        for (unsigned c = 0; c < 3; ++c)
            worst = std::max(worst, std::abs(static_cast<int>((a[i] >> (8 * c)) & 0xff) -
                                             static_cast<int>((b[i] >> (8 * c)) & 0xff)));
    return worst;
}

} // namespace testing
