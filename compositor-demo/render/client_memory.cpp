// SPDX-License-Identifier: MIT
#include "render/client_memory.hpp"

namespace compositor::render {

share::Deadline reading_deadline() {
    return share::Deadline::in(std::chrono::milliseconds(4));
}

void add_stale(scene::Region& stale, const scene::Region& damage, const share::Buffer& buffer) {
    constexpr std::size_t max_boxes = 256;
    stale.add(damage);
    stale.intersect(scene::Rect{0, 0, static_cast<int>(buffer.layout().width()),
                                static_cast<int>(buffer.layout().height())});
    if (stale.boxes().size() > max_boxes) stale = scene::Region(stale.extents());
}

} // namespace compositor::render
