// SPDX-License-Identifier: MIT
// Where a picture goes in a box. Units: pixels. No errors: sizes are at least 1.
#pragma once

#include <algorithm>
#include <cstdint>

#include "options.hpp"

namespace producer {

/// The largest size of the picture's shape that fits into the box.
inline Size fit_into(Size picture, Size box) noexcept {
    const std::uint64_t by_width = std::uint64_t{box.width} * picture.height;
    const std::uint64_t by_height = std::uint64_t{box.height} * picture.width;
    if (by_width <= by_height) // the width is what limits
        return {box.width, static_cast<std::uint32_t>(
                               std::max<std::uint64_t>((by_width + picture.width / 2) / picture.width, 1))};
    return {static_cast<std::uint32_t>(
                std::max<std::uint64_t>((by_height + picture.height / 2) / picture.height, 1)),
            box.height};
}

/// The picture itself if it fits, else shrunk into the box.
inline Size shrink_into(Size picture, Size box) noexcept {
    if (picture.width <= box.width && picture.height <= box.height) return picture;
    return fit_into(picture, box);
}

} // namespace producer
