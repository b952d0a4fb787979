// SPDX-License-Identifier: MIT
// Region: a set of pixels as rectangles, over pixman_region32. A value type; integer units of whoever uses
// it.
#pragma once

#include <pixman.h>

#include <cstdint>
#include <span>
#include <utility>

#include <share/swapchain.hpp>

namespace compositor::scene {

using share::Rect;

class Region {
public:
    Region() { pixman_region32_init(&region_); }
    explicit Region(const Rect& r) {
        pixman_region32_init_rect(&region_, r.x, r.y, r.width > 0 ? static_cast<unsigned>(r.width) : 0,
                                  r.height > 0 ? static_cast<unsigned>(r.height) : 0);
    }
    ~Region() { pixman_region32_fini(&region_); }
    Region(const Region& other) : Region() { pixman_region32_copy(&region_, other.raw()); }
    Region(Region&& other) noexcept : Region() { std::swap(region_, other.region_); }
    Region& operator=(const Region& other) {
        if (this != &other) pixman_region32_copy(&region_, other.raw());
        return *this;
    }
    Region& operator=(Region&& other) noexcept {
        std::swap(region_, other.region_);
        return *this;
    }

    bool empty() const { return !pixman_region32_not_empty(raw()); }
    void clear() { pixman_region32_clear(&region_); }
    void add(const Rect& r) {
        if (r.width <= 0 || r.height <= 0) return;
        pixman_region32_union_rect(&region_, &region_, r.x, r.y, static_cast<unsigned>(r.width),
                                   static_cast<unsigned>(r.height));
    }
    void add(const Region& other) { pixman_region32_union(&region_, &region_, other.raw()); }
    void subtract(const Region& other) { pixman_region32_subtract(&region_, &region_, other.raw()); }
    void intersect(const Region& other) { pixman_region32_intersect(&region_, &region_, other.raw()); }
    void intersect(const Rect& r) {
        pixman_region32_intersect_rect(&region_, &region_, r.x, r.y,
                                       r.width > 0 ? static_cast<unsigned>(r.width) : 0,
                                       r.height > 0 ? static_cast<unsigned>(r.height) : 0);
    }
    void translate(int dx, int dy) { pixman_region32_translate(&region_, dx, dy); }
    /// True when all of `r` is in the region.
    bool contains(const Rect& r) const {
        pixman_box32_t box{r.x, r.y, r.x + r.width, r.y + r.height};
        return pixman_region32_contains_rectangle(raw(), &box) == PIXMAN_REGION_IN;
    }
    std::span<const pixman_box32_t> boxes() const {
        int count = 0;
        const pixman_box32_t* boxes = pixman_region32_rectangles(raw(), &count);
        return {boxes, static_cast<std::size_t>(count)};
    }
    Rect extents() const {
        const pixman_box32_t& b = raw()->extents;
        return {b.x1, b.y1, b.x2 - b.x1, b.y2 - b.y1};
    }
    std::uint64_t area() const {
        std::uint64_t sum = 0;
        for (const auto& b : boxes())
            sum += static_cast<std::uint64_t>(b.x2 - b.x1) * static_cast<std::uint64_t>(b.y2 - b.y1);
        return sum;
    }

    /// pixman takes non-const pointers for arguments that it only reads.
    pixman_region32_t* raw() const { return const_cast<pixman_region32_t*>(&region_); }
    friend bool operator==(const Region& a, const Region& b) {
        return pixman_region32_equal(a.raw(), b.raw());
    }

private:
    pixman_region32_t region_;
};

} // namespace compositor::scene
