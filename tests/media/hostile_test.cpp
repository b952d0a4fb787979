// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include <share/media/image.hpp>

#include "pictures.hpp"
#include "process.hpp"

using namespace pictures;
using share::Code;

namespace {

std::vector<Bytes> all_kinds() {
    const Picture picture = painted(48, 40), clear = painted(48, 40, true);
    JpegOptions progressive, turned, cmyk;
    progressive.progressive = true;
    turned.orientation = 6, turned.profile = swapped_profile();
    cmyk.components = 4;
    PngOptions interlaced, profiled;
    interlaced.interlaced = true, interlaced.color_type = 6;
    profiled.profile = swapped_profile(), profiled.orientation = 5;
    return {jpeg(picture),
            jpeg(picture, progressive),
            jpeg(picture, turned),
            jpeg(clear, cmyk),
            png(picture),
            png(clear, interlaced),
            png(picture, profiled),
            webp(picture, false),
            webp(clear, false, 6),
            webp(clear, true),
            webp(picture, true, 3, srgb_profile()),
            animated_webp(picture, 64, 64)};
}

Code refusal(const std::string& path, const share::media::OpenOptions& options = {}) {
    auto source = share::media::open_image(path, options);
    REQUIRE_FALSE(source.ok());
    CHECK(source.error().text().find(path) != std::string::npos);
    CHECK_FALSE(source.error().text().ends_with(": "));
    return source.error().code;
}

} // namespace

TEST_CASE("a picture cut short at any length is refused, and never shown in part") {
    const std::size_t fds = testing::count_fds();
    for (const Bytes& whole : all_kinds()) {
        const auto full = show(whole);
        REQUIRE(full.ok());
        for (std::size_t length = 0; length < whole.size();
             length += length < 64 || length + 64 > whole.size() ? 1 : 13) {
            const auto cut = show(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
            INFO("cut to " << length << " of " << whole.size());
            // A byte of filling after the last chunk may be missing; then every pixel must still be right.
            if (cut.ok())
                REQUIRE((length + 1 == whole.size() && difference(cut->picture, full->picture) == 0));
        }
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("bytes changed at random are refused or shown, but never crash or write beside the rows") {
    std::uint32_t seed = 12345;
    const auto random = [&] { return (seed = seed * 1664525U + 1013904223U) >> 8; };
    share::media::OpenOptions options;
    options.limits.max_pixels = 1U << 20;
    options.limits.max_private_bytes = 64U << 20;
    int refused = 0;
    for (const Bytes& whole : all_kinds())
        for (int i = 0; i < 120; ++i) {
            Bytes bytes = whole;
            for (std::uint32_t flips = 1 + random() % 4; flips > 0; --flips)
                bytes[random() % (i % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 200))] ^=
                    static_cast<std::byte>(1 + random() % 255);
            const auto got = show(bytes, 0, options);
            if (!got.ok())
                ++refused;
            else
                CHECK(got->padding_kept);
        }
    CHECK(refused > 100);
}

TEST_CASE("a PNG with one wrong bit of pixel data or checksum is refused") {
    const Bytes whole = png(painted(30, 30));
    const std::string_view text(reinterpret_cast<const char*>(whole.data()), whole.size());
    const std::size_t idat = text.find("IDAT");
    for (std::size_t at = idat + 4; at < whole.size() - 16; at += 7) {
        Bytes bytes = whole;
        bytes[at] ^= std::byte{1};
        const auto got = show(bytes);
        REQUIRE_FALSE(got.ok());
        CHECK(got.error().code == Code::corrupt);
    }
}

TEST_CASE("pictures over the limits are refused before anything is allocated for them") {
    testing::TempDir dir;
    const std::string path = dir / "bomb";
    const auto with_size = [&](std::uint32_t width, std::uint32_t height) {
        Bytes bytes = png(painted(4, 4));
        for (int i = 0; i < 4; ++i) {
            bytes[static_cast<std::size_t>(16 + i)] = static_cast<std::byte>(width >> (24 - 8 * i));
            bytes[static_cast<std::size_t>(20 + i)] = static_cast<std::byte>(height >> (24 - 8 * i));
        }
        return bytes;
    };
    save(path, with_size(0x7fffffff, 0x7fffffff));
    CHECK(refusal(path) == Code::limit);
    save(path, with_size(65535, 65535));
    CHECK(refusal(path) == Code::limit);
    save(path, with_size(65536, 1));
    CHECK(refusal(path) == Code::limit);
    save(path, with_size(0, 7));
    CHECK(refusal(path) == Code::corrupt);
    Bytes large = jpeg(painted(8, 8));
    for (std::size_t i = 0; i + 9 < large.size(); ++i) // SOF0: length, precision, height, width
        if (large[i] == std::byte{0xff} && large[i + 1] == std::byte{0xc0})
            std::memset(&large[i + 5], 0xff, 4);
    save(path, large);
    CHECK(refusal(path) != Code::io);
    share::media::OpenOptions small;
    small.limits.max_file_bytes = 100;
    save(path, jpeg(painted(64, 64)));
    CHECK(refusal(path, small) == Code::limit);
    small = {};
    small.limits.max_private_bytes = 1000;
    JpegOptions progressive;
    progressive.progressive = true;
    save(path, jpeg(painted(64, 64), progressive));
    CHECK(refusal(path, small) == Code::limit);
    save(path, webp(painted(64, 64), true));
    CHECK(refusal(path, small) == Code::limit);
}

TEST_CASE("only regular files are opened; others are named for what they are") {
    const std::size_t fds = testing::count_fds();
    testing::TempDir dir;
    CHECK(refusal(dir / "absent.jpg") == Code::unavailable);
    CHECK(refusal(dir.path().string()) == Code::invalid_argument);
    CHECK(refusal("/dev/null") == Code::invalid_argument);
    REQUIRE(mkfifo((dir / "fifo").c_str(), 0600) == 0);
    CHECK(refusal(dir / "fifo") == Code::invalid_argument); // and does not wait for a writer
    save(dir / "empty.png", {});
    CHECK(refusal(dir / "empty.png") == Code::invalid_argument);
    REQUIRE(symlink("loop", (dir / "loop").c_str()) == 0);
    (void)refusal(dir / "loop");
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("the content tells the kind of picture, not the name; an unknown one is named") {
    testing::TempDir dir;
    const Picture picture = painted(20, 20);
    save(dir / "a.jpg", png(picture));
    auto source = share::media::open_image(dir / "a.jpg");
    REQUIRE(source.ok());
    CHECK((*source)->info().name == "a.jpg");
    CHECK(difference(show(**source)->picture, picture) == 0);
    for (const auto& [content, word] :
         {std::pair{"GIF89a......", "GIF"}, {"%PDF-1.7 ...", "PDF"}, {"hello, world", "begins with 68 65"}}) {
        const auto* at = reinterpret_cast<const std::byte*>(content);
        save(dir / "b.png", Bytes(at, at + 12));
        auto refused = share::media::open_image(dir / "b.png");
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code == Code::unsupported);
        CHECK(refused.error().text().find(word) != std::string::npos);
    }
}

TEST_CASE("a file that is truncated or replaced after opening changes nothing, and no fd stays open") {
    testing::TempDir dir;
    const std::size_t fds = testing::count_fds();
    const Picture picture = painted(64, 64);
    save(dir / "p.png", png(picture));
    auto source = share::media::open_image(dir / "p.png");
    REQUIRE(source.ok());
    CHECK(testing::count_fds() == fds);
    REQUIRE(truncate((dir / "p.png").c_str(), 10) == 0);
    save(dir / "p.png", jpeg(painted(9, 9)));
    CHECK(difference(show(**source)->picture, picture) == 0);
}

TEST_CASE("a buffer that does not fit the picture is refused") {
    const Bytes opaque = png(painted(16, 16)), clear = webp(painted(16, 16, true), true);
    CHECK(show(opaque, share::format::rgb565).error().code == Code::invalid_argument);
    CHECK(show(clear, share::format::xrgb8888).error().code ==
          Code::invalid_argument); // its alpha would be lost
}
