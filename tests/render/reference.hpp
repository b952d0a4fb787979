// SPDX-License-Identifier: MIT
// The reference: items drawn by brute force, pixel by pixel, from the protocol's words and nothing else.
#pragma once

#include "render_support.hpp"

namespace testing {

struct ReferenceItem {
    scene::Item item;
    const Pixels* pixels = nullptr; ///< of the item's content, XRGB8888 or ARGB8888
};
/// Draws over `picture`. Pixel for pixel where source and rectangle are whole multiples, bilinear otherwise.
void draw_reference(Pixels& picture, int width, int height, const std::vector<ReferenceItem>& items);

/// The largest difference of a channel.
int difference(const Pixels& a, const Pixels& b);

} // namespace testing
