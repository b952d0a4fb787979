// SPDX-License-Identifier: MIT
// A PNG file as 0x00RRGGBB pixels, by libpng.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include <png.h>

#include <cstdint>
#include <string>
#include <vector>

namespace testing {

inline std::vector<std::uint32_t> read_png(const std::string& path) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_file(&image, path.c_str()));
    image.format = PNG_FORMAT_RGB;
    std::vector<std::uint8_t> rgb(PNG_IMAGE_SIZE(image));
    REQUIRE(png_image_finish_read(&image, nullptr, rgb.data(), 0, nullptr));
    std::vector<std::uint32_t> pixels;
    for (std::size_t i = 0; i + 2 < rgb.size(); i += 3)
        pixels.push_back(static_cast<std::uint32_t>(rgb[i] << 16 | rgb[i + 1] << 8 | rgb[i + 2]));
    return pixels;
}

} // namespace testing
