// SPDX-License-Identifier: MIT
// The test card's picture: evening over a lake, in arithmetic. Every pixel depends only on its place and the
// size, so that rows can be painted in any order. Units: heights of the landscape, x from the left.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace share::media {

struct Rgb {
    float r = 0, g = 0, b = 0; ///< linear light
};

class Landscape {
public:
    Landscape(std::uint32_t width, std::uint32_t height);
    /// 3 * width bytes of sRGB.
    void paint_row(std::uint32_t y, std::span<std::uint8_t> rgb) const;

private:
    struct Ridge {
        std::vector<float> crest; ///< by column: height of the skyline
    };
    Rgb sky(float x, float y) const;
    Rgb above_water(float x, float y) const;
    Rgb water(float x, float y) const;
    void paint_boat(Rgb& color, float x, float y) const;
    void paint_birds(Rgb& color, float x, float y) const;
    void paint_bank(Rgb& color, float x, float y) const;
    Rgb strip(std::uint32_t column, std::uint32_t row) const;
    float crest(std::size_t ridge, float x) const;

    std::uint32_t width_, height_, land_height_;
    float aspect_, pixel_, sun_x_, boat_x_;
    std::vector<Ridge> ridges_;
};

} // namespace share::media
