// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <climits>
#include <cmath>
#include <vector>

#include "scene/surface_map.hpp"

using namespace compositor::scene;

namespace {

/// The definition, one point at a time: rotations are counter-clockwise, flips come first and exchange left
/// and right. From a point of the untransformed picture to that of the transformed one.
struct Point {
    double x, y;
};
Point transform_point(Point p, Transform transform, double width, double height) {
    const unsigned t = static_cast<unsigned>(transform);
    if (t >= 4) p.x = width - p.x;
    for (unsigned turn = 0; turn < t % 4; ++turn) {
        p = {p.y, width - p.x};
        std::swap(width, height);
    }
    return p;
}

/// The buffer pixel that surface-local point `p` shows.
Point buffer_point(const SurfaceMap& map, Point p) {
    const RectF all = map.unscaled();
    const RectF shown = map.source.value_or(all);
    const Size size = map.size();
    p = {shown.x + p.x * shown.width / size.width, shown.y + p.y * shown.height / size.height};
    p = transform_point(p, map.transform, all.width, all.height);
    return {p.x * map.scale, p.y * map.scale};
}

std::vector<SurfaceMap> maps(Transform transform) {
    SurfaceMap plain{{24, 16}, 1, transform, {}, {}};
    SurfaceMap scaled = plain;
    scaled.scale = 2;
    SurfaceMap cropped = plain;
    cropped.source = RectF{2, 3, 8, 9};
    SurfaceMap stretched = cropped;
    stretched.destination = Size{24, 18};
    SurfaceMap shrunk = scaled;
    shrunk.destination = Size{3, 5};
    SurfaceMap fraction = scaled;
    fraction.source = RectF{0.5, 1.25, 5.5, 4.5};
    fraction.destination = Size{11, 9};
    return {plain, scaled, cropped, stretched, shrunk, fraction};
}

bool has(const Region& region, int x, int y) {
    return region.contains({x, y, 1, 1});
}

} // namespace

TEST_CASE("a surface's size is the buffer's, turned, divided by its scale, or what the viewport says") {
    const auto transform = static_cast<Transform>(GENERATE(range(0, 8)));
    const auto all = maps(transform);
    CHECK(all[0].size() == (swaps_axes(transform) ? Size{16, 24} : Size{24, 16}));
    CHECK(all[1].size() == (swaps_axes(transform) ? Size{8, 12} : Size{12, 8}));
    CHECK(all[2].size() == Size{8, 9});
    CHECK(all[3].size() == Size{24, 18});
    CHECK(all[4].size() == Size{3, 5});
}

TEST_CASE("corners of the shown part of the buffer are where the definition puts them") {
    const auto transform = static_cast<Transform>(GENERATE(range(0, 8)));
    for (const SurfaceMap& map : maps(transform)) {
        const Size size = map.size();
        const RectF source = map.buffer_source();
        const Point a = buffer_point(map, {0, 0}),
                    b = buffer_point(map, {double(size.width), double(size.height)});
        CHECK(std::abs(source.x - std::min(a.x, b.x)) < 1e-9);
        CHECK(std::abs(source.y - std::min(a.y, b.y)) < 1e-9);
        CHECK(std::abs(source.width - std::abs(a.x - b.x)) < 1e-9);
        CHECK(std::abs(source.height - std::abs(a.y - b.y)) < 1e-9);
    }
}

TEST_CASE("every surface pixel that shows a damaged buffer pixel is damaged") {
    const auto transform = static_cast<Transform>(GENERATE(range(0, 8)));
    for (const SurfaceMap& map : maps(transform)) {
        const Size size = map.size();
        for (int by = 0; by < map.buffer.height; ++by) {
            for (int bx = 0; bx < map.buffer.width; ++bx) {
                const Region damage = map.to_surface(Region({bx, by, 1, 1}));
                for (int y = 0; y < size.height; ++y) {
                    for (int x = 0; x < size.width; ++x) {
                        const Point p = buffer_point(map, {x + 0.5, y + 0.5});
                        const bool shows = std::floor(p.x) == bx && std::floor(p.y) == by;
                        if (shows && !has(damage, x, y)) {
                            INFO("transform " << int(transform) << " buffer " << bx << ',' << by
                                              << " surface " << x << ',' << y);
                            FAIL("pixel is not damaged");
                        }
                    }
                }
            }
        }
    }
    SUCCEED();
}

TEST_CASE("damage of an unscaled buffer is exact, pixel for pixel") {
    const auto transform = static_cast<Transform>(GENERATE(range(0, 8)));
    const SurfaceMap map = maps(transform)[0];
    for (int by = 0; by < map.buffer.height; ++by) {
        for (int bx = 0; bx < map.buffer.width; ++bx) {
            const Region damage = map.to_surface(Region({bx, by, 1, 1}));
            REQUIRE(damage.area() == 1);
            const Rect at = damage.extents();
            const Point p = buffer_point(map, {at.x + 0.5, at.y + 0.5});
            REQUIRE(std::floor(p.x) == bx);
            REQUIRE(std::floor(p.y) == by);
            REQUIRE(map.to_buffer(damage) == Region({bx, by, 1, 1}));
        }
    }
}

TEST_CASE("every buffer pixel that a damaged surface pixel shows is damaged") {
    const auto transform = static_cast<Transform>(GENERATE(range(0, 8)));
    for (const SurfaceMap& map : maps(transform)) {
        const Size size = map.size();
        for (int y = 0; y < size.height; ++y) {
            for (int x = 0; x < size.width; ++x) {
                const Region damage = map.to_buffer(Region({x, y, 1, 1}));
                const Point p = buffer_point(map, {x + 0.5, y + 0.5});
                REQUIRE(has(damage, static_cast<int>(std::floor(p.x)), static_cast<int>(std::floor(p.y))));
            }
        }
    }
}

TEST_CASE("damage without bounds is clipped to the surface and to the buffer") {
    const auto transform = static_cast<Transform>(GENERATE(range(0, 8)));
    const Region all(clamped(Rect{0, 0, INT_MAX, INT_MAX}));
    const Region wild(clamped(Rect{INT_MIN, INT_MIN, INT_MAX, INT_MAX}));
    for (const SurfaceMap& map : maps(transform)) {
        CHECK(map.to_surface(all) == Region({0, 0, map.size().width, map.size().height}));
        CHECK(map.to_surface(wild).empty());
        CHECK_FALSE(map.to_buffer(all).empty());
    }
}

TEST_CASE("a transform and its inverse leave a rectangle where it was") {
    const auto transform = static_cast<Transform>(GENERATE(range(0, 8)));
    const RectF r{3, 4, 5, 7};
    const RectF there = transformed(r, transform, 20, 30);
    const bool swap = swaps_axes(transform);
    CHECK(transformed(there, inverse(transform), swap ? 30 : 20, swap ? 20 : 30) == r);
}
