// SPDX-License-Identifier: MIT
#include "wayland/region.hpp"

#include <fmt/format.h>

namespace compositor::wayland {

const RegionObject::Requests RegionObject::requests{{.destroy = request<&RegionObject::destroy>,
                                                     .add = request<&RegionObject::add>,
                                                     .subtract = request<&RegionObject::subtract>}};

Outcome RegionObject::add(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height) {
    region_.add(scene::clamped(scene::Rect{x, y, width, height}));
    return check();
}

Outcome RegionObject::subtract(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height) {
    region_.subtract(scene::Region(scene::clamped(scene::Rect{x, y, width, height})));
    return check();
}

Outcome RegionObject::check() const {
    if (region_.boxes().size() <= max_rectangles) return accepted;
    return refuse_no_memory(fmt::format("a wl_region of more than {} rectangles", max_rectangles));
}

} // namespace compositor::wayland
