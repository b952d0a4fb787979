// SPDX-License-Identifier: MIT
// Pattern: four quadrants of known colours in any format that we can write: what a probe imports, and what
// must come back. Red and green above, blue and white below: a swapped channel, a flipped or sheared picture
// and a wrong stride all show. Thread: any.
#pragma once

#include <array>
#include <cstdint>

#include <share/buffer.hpp>

namespace share::egl {

/// Pixels each way of a picture as it is sampled back, whatever its own size.
inline constexpr std::uint32_t pattern_size = 16;

struct Rgb {
    std::uint8_t r = 0, g = 0, b = 0;
};

/// The colour of the quadrant of `pattern_size` square pixels at (x, y) as it must be sampled: formats
/// without green or blue lose them.
Rgb pattern_colour(Fourcc format, std::uint32_t x, std::uint32_t y) noexcept;
/// False when we cannot write this format.
bool pattern_known(Fourcc format) noexcept;
/// Fills the mapping, of any size: its quadrants are the pattern's.
void write_pattern(const Mapping& into) noexcept;

} // namespace share::egl
