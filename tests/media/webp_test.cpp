// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <webp/decode.h>

#include "pictures.hpp"

using namespace pictures;

namespace {

Picture plain_webp(const Bytes& bytes) {
    int width = 0, height = 0;
    std::uint8_t* rgba =
        WebPDecodeRGBA(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), &width, &height);
    REQUIRE(rgba != nullptr);
    Picture picture{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), {}};
    for (int i = 0; i < width * height; ++i)
        picture.pixels.push_back({rgba[4 * i], rgba[4 * i + 1], rgba[4 * i + 2], rgba[4 * i + 3]});
    WebPFree(rgba);
    return picture;
}

} // namespace

TEST_CASE("WebP: lossless is exact, lossy is what libwebp decodes; alpha is premultiplied") {
    const bool lossless = GENERATE(false, true), alpha = GENERATE(false, true);
    const std::uint32_t width = GENERATE(1U, 37U, 64U);
    const Picture picture = painted(width, 43, alpha);
    const Bytes bytes = webp(picture, lossless);
    auto got = show(bytes, GENERATE(share::format::argb8888, share::format::abgr8888));
    REQUIRE(got.ok());
    CHECK(got->info.alpha == alpha);
    CHECK(difference(got->picture, premultiplied(lossless ? picture : plain_webp(bytes))) == 0);
    CHECK(got->padding_kept);
    CHECK(got->step.bytes_copied == 0U);
    CHECK(got->step.bytes_converted == (alpha ? std::uint64_t{width} * 43 * 4 : 0U));
}

TEST_CASE("WebP: all eight orientations; a quarter turn tells its copy") {
    const int orientation = GENERATE(range(1, 9));
    const Picture picture = painted(38, 75, true);
    auto got = show(webp(picture, true, orientation));
    REQUIRE(got.ok());
    CHECK(difference(got->picture, premultiplied(shown(picture, orientation))) == 0);
    CHECK(got->step.bytes_copied == (orientation >= 5 ? 38U * 75U * 4U : 0U));
    CHECK(got->padding_kept);
}

TEST_CASE("WebP: an embedded profile is converted, a damaged one ignored and told") {
    Picture picture = painted(30, 30);
    SECTION("exchanged") {
        auto got = show(webp(picture, true, 0, swapped_profile()));
        REQUIRE(got.ok());
        for (Pixel& p : picture.pixels)
            std::swap(p.r, p.g);
        CHECK(difference(got->picture, picture) <= 1);
    }
    SECTION("damaged") {
        auto got = show(webp(picture, true, 0, Bytes(300, std::byte{3})));
        REQUIRE(got.ok());
        CHECK(difference(got->picture, picture) == 0);
        CHECK(got->step.reason.find("damaged ICC profile ignored") != std::string::npos);
    }
}

TEST_CASE("WebP: of an animation the first frame is shown, where it lies on a clear canvas") {
    const Picture frame = painted(20, 10);
    auto got = show(animated_webp(frame, 40, 24));
    REQUIRE(got.ok());
    Picture expected{40, 24, std::vector<Pixel>(40 * 24, Pixel{0, 0, 0, 0})};
    for (std::uint32_t y = 0; y < 10; ++y)
        for (std::uint32_t x = 0; x < 20; ++x)
            expected.at(x + 2, y + 4) = frame.at(x, y);
    CHECK(difference(got->picture, expected) == 0);
    CHECK(got->step.reason.find("first of 2 frames") != std::string::npos);
}
