// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>

#include <png.h>

#include "pictures.hpp"

using namespace pictures;

namespace {

/// What a reader can see of `picture` when each sample keeps only `bits` bits.
Picture reduced(Picture picture, int bits) {
    const int top = (1 << bits) - 1;
    for (Pixel& p : picture.pixels)
        for (std::uint8_t* c : {&p.r, &p.g, &p.b})
            *c = static_cast<std::uint8_t>((*c >> (8 - bits)) * 255 / top);
    return picture;
}

} // namespace

TEST_CASE("PNG: grey of 1, 2, 4, 8 and 16 bits, RGB and alpha are exact, interlaced or not") {
    const auto [type, bits] = GENERATE(std::pair{0, 1}, std::pair{0, 2}, std::pair{0, 4}, std::pair{0, 8},
                                       std::pair{0, 16}, std::pair{2, 8}, std::pair{2, 16}, std::pair{4, 8},
                                       std::pair{4, 16}, std::pair{6, 8}, std::pair{6, 16});
    const bool interlaced = GENERATE(false, true);
    const std::uint32_t width = GENERATE(1U, 5U, 67U);
    const bool alpha = (type & PNG_COLOR_MASK_ALPHA) != 0;
    Picture picture = painted(width, 37, alpha);
    PngOptions options;
    options.color_type = type, options.bit_depth = bits, options.interlaced = interlaced;
    Picture expected = bits < 8 ? reduced(picture, bits) : picture;
    if ((type & PNG_COLOR_MASK_COLOR) == 0) expected = gray_of(expected);
    auto got = show(png(picture, options));
    REQUIRE(got.ok());
    CHECK(got->info.alpha == alpha);
    CHECK(got->info.formats.front() == (alpha ? share::format::argb8888 : share::format::xrgb8888));
    // 16 bits are rounded to 8: within one; and premultiplied from there.
    CHECK(difference(got->picture, premultiplied(expected)) <= (bits == 16 ? 1 : 0));
    CHECK(got->padding_kept);
    CHECK(got->step.bytes_copied == 0U);
    CHECK(got->step.bytes_converted == (alpha ? std::uint64_t{width} * 37 * 4 : 0U));
}

TEST_CASE("PNG: palettes of 1 to 8 bits, with and without transparency, are exact") {
    const int bits = GENERATE(1, 2, 4, 8);
    const bool transparent = GENERATE(false, true);
    Picture picture = painted(50, 20);
    const unsigned colors = 1U << std::min(bits, 6);
    for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
        const auto c = static_cast<std::uint8_t>(i % 50 * 7 % colors);
        picture.pixels[i] = {static_cast<std::uint8_t>(c * 3), static_cast<std::uint8_t>(255 - c),
                             static_cast<std::uint8_t>(c * 4 % 251),
                             static_cast<std::uint8_t>(transparent ? c * 255U / colors : 255U)};
    }
    PngOptions options;
    options.color_type = PNG_COLOR_TYPE_PALETTE, options.bit_depth = bits,
    options.transparent_color = transparent;
    options.interlaced = GENERATE(false, true);
    auto got = show(png(picture, options));
    REQUIRE(got.ok());
    CHECK(got->info.alpha == transparent);
    CHECK(difference(got->picture, premultiplied(picture)) == 0);
}

TEST_CASE("PNG: a transparent colour of a grey or RGB picture makes just that colour clear") {
    const auto [type, bits] =
        GENERATE(std::pair{0, 2}, std::pair{0, 8}, std::pair{0, 16}, std::pair{2, 8}, std::pair{2, 16});
    Picture picture = painted(40, 30);
    PngOptions options;
    options.color_type = type, options.bit_depth = bits, options.transparent_color = true;
    Picture expected = bits < 8 ? reduced(picture, bits) : picture;
    if (type == 0) expected = gray_of(expected);
    const Pixel clear = expected.at(0, 0);
    for (Pixel& p : expected.pixels)
        if (p == clear) p.a = 0;
    auto got = show(png(picture, options), share::format::abgr8888);
    REQUIRE(got.ok());
    CHECK(got->info.alpha);
    CHECK(difference(got->picture, premultiplied(expected)) <= (bits == 16 ? 1 : 0));
}

TEST_CASE(
    "PNG: all eight orientations, before or after the pixels; an interlaced quarter turn tells its copy") {
    const int orientation = GENERATE(range(1, 9));
    PngOptions options;
    options.orientation = orientation;
    options.interlaced = GENERATE(false, true);
    options.exif_after_pixels = GENERATE(false, true);
    options.color_type = PNG_COLOR_TYPE_RGB_ALPHA;
    const Picture picture = painted(45, 71, true);
    auto got = show(png(picture, options));
    REQUIRE(got.ok());
    CHECK(difference(got->picture, premultiplied(shown(picture, orientation))) == 0);
    CHECK(got->step.bytes_copied == (options.interlaced && orientation >= 5 ? 45U * 71U * 4U : 0U));
    CHECK(got->step.bytes_converted == 45U * 71U * 4U);
}

TEST_CASE("PNG: a profile is applied before alpha is premultiplied") {
    PngOptions options;
    options.profile = swapped_profile();
    options.color_type = PNG_COLOR_TYPE_RGB_ALPHA;
    Picture picture = painted(40, 40, true);
    auto got = show(png(picture, options));
    for (Pixel& p : picture.pixels)
        std::swap(p.r, p.g);
    REQUIRE(got.ok());
    CHECK(difference(got->picture, premultiplied(picture)) <= 1);
}
