// SPDX-License-Identifier: MIT
// Geometry: from an item's rectangles and transform to the pixels to read. Units: output pixels and buffer
// pixels; a pixel's centre is at +0.5. Thread: any. Source: wl_output.transform,
// wl_surface.set_buffer_transform.
#pragma once

#include "scene/frame.hpp"

namespace compositor::render {

/// buffer point = A * output point: bx = xx * ox + xy * oy + x0, by = yx * ox + yy * oy + y0.
struct Affine {
    double xx = 1, xy = 0, x0 = 0;
    double yx = 0, yy = 1, y0 = 0;
};
Affine output_to_buffer(const scene::Item& item);

/// How an item's pixels are to be fetched.
struct Placement {
    /// Pixel for pixel, neither turned nor scaled: buffer = output + (dx, dy).
    bool one_to_one = false;
    int dx = 0, dy = 0;
    /// Turned, or enlarged by a whole number: every output pixel is exactly one pixel of the buffer.
    bool nearest = false;
};
Placement place(const scene::Item& item);

/// What is to be drawn of an item: its clip, inside its rectangle and inside the output.
scene::Region visible_part(const scene::Item& item, int width, int height);

} // namespace compositor::render
