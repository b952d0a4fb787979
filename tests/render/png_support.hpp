// SPDX-License-Identifier: MIT
// A PNG file as 0x00RRGGBB pixels.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "picture.hpp"

namespace testing {

inline std::vector<std::uint32_t> read_png(const std::string& path) {
    const auto picture = load_png(path);
    REQUIRE(picture);
    std::vector<std::uint32_t> pixels;
    for (const Rgb& p : picture->pixels)
        pixels.push_back(static_cast<std::uint32_t>(p.r << 16 | p.g << 8 | p.b));
    return pixels;
}

} // namespace testing
