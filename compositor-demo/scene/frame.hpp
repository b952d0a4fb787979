// SPDX-License-Identifier: MIT
// Frame: what one output shows, as a flat list from back to front, with nothing left to decide for whoever
// draws it. The scene computes visibility; a renderer only draws. Units: output pixels unless said otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "scene/content.hpp"
#include "scene/region.hpp"

namespace compositor::scene {

/// wl_output.transform values. Counter-clockwise rotation, as wl_surface.set_buffer_transform tells that the
/// client has already applied it to the buffer's content.
enum class Transform : std::uint8_t {
    normal = 0,
    rotate90 = 1,
    rotate180 = 2,
    rotate270 = 3,
    flipped = 4,
    flipped90 = 5,
    flipped180 = 6,
    flipped270 = 7,
};

struct RectF {
    double x = 0, y = 0, width = 0, height = 0;
    friend bool operator==(const RectF&, const RectF&) = default;
};

struct Color {
    float r = 0, g = 0, b = 0, a = 1; ///< premultiplied
};

struct Item {
    std::shared_ptr<Content> content; ///< null: fill with `color`
    Color color;
    RectF source;                            ///< part of the buffer that is shown, in the buffer's own pixels
    Rect dest;                               ///< where all of `source` goes
    Transform transform = Transform::normal; ///< undone when drawing
    bool blend = false; ///< false: the alpha of the content is to be ignored or known to be 1
    Region clip;        ///< the pixels to draw: in dest, damaged, and under nothing opaque
};

struct Frame {
    int width = 0, height = 0;
    Region damage;           ///< what differs from the frame before
    std::vector<Item> items; ///< clips of all items together cover `damage`
    /// When one opaque item covers the whole output 1:1 and nothing lies on top: that item's content; an
    /// output that can show it as it is need not draw anything.
    std::shared_ptr<Content> direct;
};

/// What drawing a frame came to.
struct Drawn {
    /// For the ledger. Each item ends with one step `compose`; what its content cost comes just before.
    std::vector<share::Step> steps;
    std::vector<std::shared_ptr<Content>> lost; ///< content whose memory turned out to be truncated
    /// Pixels that kept their old colours because a buffer could not be read in time: to be drawn again.
    Region undrawn;
};

} // namespace compositor::scene
