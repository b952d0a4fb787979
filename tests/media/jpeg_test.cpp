// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <cstdio> // jpeglib.h wants it
#include <cstdlib>
#include <jpeglib.h>

#include "pictures.hpp"

using namespace pictures;

namespace {
constexpr std::uint64_t frame_bytes(const Picture& p) {
    return std::uint64_t{p.width} * p.height * 4;
}
std::uint8_t ink(unsigned value, unsigned black) {
    return static_cast<std::uint8_t>((value * black * 2 + 255) / 510);
}
Picture without_inks(Picture cmyk, bool inverted) {
    for (Pixel& p : cmyk.pixels) {
        const unsigned flip = inverted ? 0 : 255;
        p = {ink(p.r ^ flip, p.a ^ flip), ink(p.g ^ flip, p.a ^ flip), ink(p.b ^ flip, p.a ^ flip), 255};
    }
    return cmyk;
}
} // namespace

TEST_CASE("every sampling of a JPEG gives exactly libjpeg's own pixels, and no byte beside them") {
    const auto [h, v] =
        GENERATE(std::pair{1, 1}, std::pair{2, 1}, std::pair{2, 2}, std::pair{1, 2}, std::pair{4, 1});
    const bool progressive = GENERATE(false, true);
    const std::uint32_t width = GENERATE(1U, 7U, 64U, 131U);
    JpegOptions options;
    options.h = h, options.v = v, options.progressive = progressive;
    const Bytes bytes = jpeg(painted(width, 53), options);
    for (const share::Fourcc format :
         {share::format::xrgb8888, share::format::xbgr8888, share::format::argb8888}) {
        auto got = show(bytes, format);
        REQUIRE(got.ok());
        CHECK(difference(got->picture, plain_jpeg(bytes)) == 0);
        CHECK(got->padding_kept);
        CHECK(got->step.bytes_copied == 0U);
        CHECK(got->step.bytes_converted == 0U);
        CHECK(got->step.stage == "decode");
        CHECK(got->step.mechanism == share::Mechanism::decode);
        CHECK(got->step.by == share::By::us);
        CHECK((got->step.reason.find("progressive") != std::string::npos) == progressive);
    }
}

TEST_CASE("grey, RGB and arithmetic-coded JPEGs are shown as libjpeg decodes them") {
    JpegOptions options;
    SECTION("grey") {
        options.components = 1;
    }
    SECTION("grey, progressive") {
        options.components = 1, options.progressive = true;
    }
    SECTION("RGB") {
        options.color_space = JCS_RGB;
    }
    SECTION("arithmetic") {
        options.arithmetic = true;
    }
    SECTION("restart intervals") {
        options.restart_interval = 3;
    }
    const Bytes bytes = jpeg(painted(77, 41), options);
    auto got = show(bytes);
    REQUIRE(got.ok());
    CHECK(difference(got->picture, plain_jpeg(bytes)) == 0);
    CHECK_FALSE(got->info.alpha);
}

TEST_CASE("CMYK and YCCK become RGB in place, inverted as Adobe writes them or not") {
    JpegOptions options;
    options.components = 4;
    options.color_space = GENERATE(static_cast<int>(JCS_CMYK), static_cast<int>(JCS_YCCK));
    options.adobe_marker = options.color_space == JCS_YCCK || GENERATE(true, false);
    options.quality = 100;
    const Bytes bytes = jpeg(painted(66, 35, true), options);
    auto got = show(bytes, GENERATE(share::format::xrgb8888, share::format::xbgr8888));
    REQUIRE(got.ok());
    CHECK(difference(got->picture, without_inks(plain_jpeg(bytes), options.adobe_marker)) == 0);
    CHECK(got->step.bytes_copied == 0U);
    CHECK(got->step.bytes_converted == frame_bytes(got->picture));
}

TEST_CASE("all eight orientations of a JPEG are shown upright, without a frame in between") {
    const int orientation = GENERATE(range(1, 9));
    const auto [width, height] = GENERATE(std::pair{70U, 45U}, std::pair{33U, 100U}, std::pair{1U, 5U});
    JpegOptions options;
    options.orientation = orientation;
    options.big_endian_exif = GENERATE(false, true);
    const Bytes bytes = jpeg(painted(width, height), options);
    auto got = show(bytes);
    REQUIRE(got.ok());
    CHECK(difference(got->picture, shown(plain_jpeg(bytes), orientation)) == 0);
    CHECK(got->info.width == (orientation >= 5 ? height : width));
    CHECK(got->padding_kept);
    CHECK(got->step.bytes_copied == 0U);
    const bool rewritten = orientation != 1 && orientation != 4;
    CHECK(got->step.bytes_converted == (rewritten ? frame_bytes(got->picture) : 0U));
}

TEST_CASE("an orientation that makes no sense is none") {
    JpegOptions options;
    options.orientation = GENERATE(9, 255, 65535);
    const Bytes bytes = jpeg(painted(20, 10), options);
    auto got = show(bytes);
    REQUIRE(got.ok());
    CHECK(difference(got->picture, plain_jpeg(bytes)) == 0);
}

TEST_CASE("a JPEG's profile that is not sRGB is converted, one that is sRGB or damaged is not") {
    JpegOptions options;
    SECTION("red and green exchanged") {
        options.profile = swapped_profile();
        const Bytes bytes = jpeg(painted(60, 40), options);
        Picture expected = plain_jpeg(bytes);
        for (Pixel& p : expected.pixels)
            std::swap(p.r, p.g);
        auto got = show(bytes, GENERATE(share::format::xrgb8888, share::format::xbgr8888));
        REQUIRE(got.ok());
        CHECK(difference(got->picture, expected) <= 1);
        CHECK(got->step.bytes_converted == frame_bytes(got->picture));
        CHECK(got->step.reason.find("converted to sRGB") != std::string::npos);
    }
    SECTION("sRGB") {
        options.profile = srgb_profile();
        const Bytes bytes = jpeg(painted(60, 40), options);
        auto got = show(bytes);
        REQUIRE(got.ok());
        CHECK(difference(got->picture, plain_jpeg(bytes)) == 0);
        CHECK(got->step.bytes_converted == 0U);
    }
    SECTION("damaged, or of another kind of colour") {
        options.profile = GENERATE(Bytes(500, std::byte{7}), gray_profile(1.0));
        const Bytes bytes = jpeg(painted(60, 40), options);
        auto got = show(bytes);
        REQUIRE(got.ok());
        CHECK(difference(got->picture, plain_jpeg(bytes)) == 0);
        CHECK(got->step.reason.find("ignored") != std::string::npos);
    }
    SECTION("grey") {
        options.components = 1;
        options.profile = gray_profile(1.0); // linear: the middle becomes lighter
        const Bytes bytes = jpeg(painted(60, 40), options);
        const Picture stored = plain_jpeg(bytes);
        auto got = show(bytes);
        REQUIRE(got.ok());
        for (std::size_t i = 0; i < stored.pixels.size(); ++i) {
            if (stored.pixels[i].r < 50 || stored.pixels[i].r > 200) continue;
            REQUIRE(got->picture.pixels[i].r > stored.pixels[i].r + 20);
            REQUIRE(std::abs(got->picture.pixels[i].r - got->picture.pixels[i].b) <= 1);
        }
    }
}

TEST_CASE("a picture can be read again and again, into buffers of either order") {
    JpegOptions options;
    options.orientation = 6;
    options.profile = swapped_profile();
    const Bytes bytes = jpeg(painted(50, 30), options);
    auto source = share::media::open_image(bytes, "again");
    REQUIRE(source.ok());
    auto first = show(**source, share::format::xrgb8888);
    auto second = show(**source, share::format::xbgr8888);
    auto third = show(**source, share::format::xrgb8888);
    REQUIRE((first.ok() && second.ok() && third.ok()));
    CHECK(difference(first->picture, second->picture) == 0);
    CHECK(difference(first->picture, third->picture) == 0);
}
