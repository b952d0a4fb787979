// SPDX-License-Identifier: MIT
// The format table, and drivers whose answers make no sense.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <linux/videodev2.h>

#include <set>

#include <share/v4l2/format.hpp>

using namespace share;
using namespace share::v4l2;

namespace {

Answer answer(PixelCode code, std::uint32_t width, std::uint32_t height, std::uint32_t stride,
              std::uint32_t size) {
    Answer a{code, width, height, V4L2_FIELD_NONE, 1, {}};
    a.memory[0] = {stride, size};
    return a;
}

} // namespace

TEST_CASE("V4L2's letters for the common formats are the kernel's, and mean DRM's of the same bytes",
          "[v4l2]") {
    struct Row {
        PixelCode code;
        Fourcc format;
    };
    // V4L2 names bytes in memory, DRM a little-endian word: BGRX bytes are an XRGB word.
    const auto row = GENERATE(values<Row>({{V4L2_PIX_FMT_XBGR32, format::xrgb8888},
                                           {V4L2_PIX_FMT_ABGR32, format::argb8888},
                                           {V4L2_PIX_FMT_RGBX32, format::xbgr8888},
                                           {V4L2_PIX_FMT_RGBA32, format::abgr8888},
                                           {V4L2_PIX_FMT_BGR32, format::xrgb8888},
                                           {V4L2_PIX_FMT_RGB24, format::bgr888},
                                           {V4L2_PIX_FMT_BGR24, format::rgb888},
                                           {V4L2_PIX_FMT_RGB565, format::rgb565},
                                           {V4L2_PIX_FMT_GREY, format::r8},
                                           {V4L2_PIX_FMT_YUYV, format::yuyv},
                                           {V4L2_PIX_FMT_NV12, format::nv12},
                                           {V4L2_PIX_FMT_NV21, format::nv21},
                                           {V4L2_PIX_FMT_YUV420, format::yuv420},
                                           {V4L2_PIX_FMT_YVU420, format::yvu420},
                                           {V4L2_PIX_FMT_YUV422P, format::yuv422},
                                           {V4L2_PIX_FMT_NV12M, format::nv12},
                                           {V4L2_PIX_FMT_YUV420M, format::yuv420}}));
    CAPTURE(fourcc_text(row.code));
    const auto* const pair = find_pair(row.code);
    REQUIRE(pair);
    CHECK(pair->format == row.format);
}

TEST_CASE("every pair names a format that Layout knows, once, with as many memories as it has planes or one",
          "[v4l2]") {
    std::set<PixelCode> seen;
    for (const auto& pair : format_pairs()) {
        CAPTURE(fourcc_text(pair.code));
        CHECK(seen.insert(pair.code).second);
        const auto* const info = find_format(pair.format);
        REQUIRE(info);
        CHECK((pair.memories == 1 || pair.memories == info->plane_count));
    }
    CHECK(find_pair(V4L2_PIX_FMT_H264) == nullptr);
}

TEST_CASE(
    "of several codes for one format the exact one comes before the deprecated, one memory before several",
    "[v4l2]") {
    CHECK(codes_of(format::xrgb8888) == std::vector<PixelCode>{V4L2_PIX_FMT_XBGR32, V4L2_PIX_FMT_BGR32});
    CHECK(codes_of(format::nv12) == std::vector<PixelCode>{V4L2_PIX_FMT_NV12, V4L2_PIX_FMT_NV12M});
    CHECK(codes_of(fourcc('N', 'O', 'P', 'E')).empty());
}

TEST_CASE("planes in one memory follow each other with strides derived from the first", "[v4l2]") {
    SECTION("NV12: the chroma rows are as long as the luma rows") {
        const auto format = check_answer(answer(V4L2_PIX_FMT_NV12, 640, 480, 704, 704 * 720));
        REQUIRE(format);
        CHECK(format->layout->plane(0) == Plane{0, 704});
        CHECK(format->layout->plane(1) == Plane{704 * 480, 704});
    }
    SECTION("YUV420: half as long") {
        const auto format = check_answer(answer(V4L2_PIX_FMT_YUV420, 640, 480, 704, 704 * 720));
        REQUIRE(format);
        CHECK(format->layout->plane(1) == Plane{704 * 480, 352});
        CHECK(format->layout->plane(2) == Plane{704 * 480 + 352 * 240, 352});
    }
    SECTION("NV24: twice as long") {
        const auto format = check_answer(answer(V4L2_PIX_FMT_NV24, 640, 480, 640, 640 * 480 * 3));
        REQUIRE(format);
        CHECK(format->layout->plane(1) == Plane{640 * 480, 1280});
    }
    SECTION("P010: two bytes a sample") {
        const auto format = check_answer(answer(V4L2_PIX_FMT_P010, 640, 480, 1280, 1280 * 720));
        REQUIRE(format);
        CHECK(format->layout->plane(1) == Plane{1280 * 480, 1280});
    }
    SECTION("a padded size is kept whole") {
        const auto format = check_answer(answer(V4L2_PIX_FMT_XBGR32, 100, 10, 512, 512 * 16));
        REQUIRE(format);
        CHECK(format->layout->size() == 512 * 16);
        CHECK(format->sizes == std::vector<std::uint64_t>{512 * 16});
    }
}

TEST_CASE("planes in memories of their own begin at byte 0 of each", "[v4l2]") {
    Answer a{V4L2_PIX_FMT_NV12M, 640, 480, V4L2_FIELD_NONE, 2, {}};
    a.memory[0] = {640, 640 * 480};
    a.memory[1] = {640, 640 * 240};
    const auto format = check_answer(a);
    REQUIRE(format);
    CHECK(format->layout->plane(1) == Plane{0, 640});
    CHECK(format->sizes == std::vector<std::uint64_t>{640 * 480, 640 * 240});
    a.memory[1].size = 640 * 240 - 1;
    CHECK(check_answer(a).error().code == Code::invalid_argument);
    a.memories = 1;
    CHECK(check_answer(a).error().code == Code::invalid_argument);
    a.memories = 8;
    CHECK(check_answer(a).error().code == Code::invalid_argument);
}

TEST_CASE("an answer that does not fit its own pixels is refused, and the text blames the driver", "[v4l2]") {
    constexpr std::uint32_t huge = 0xffff'ffff;
    const auto bad = GENERATE(values<Answer>({
        answer(V4L2_PIX_FMT_XBGR32, 640, 480, 2559, 2560 * 480),     // a row is longer than the stride
        answer(V4L2_PIX_FMT_XBGR32, 640, 480, 2560, 2560 * 480 - 1), // one byte short
        answer(V4L2_PIX_FMT_XBGR32, 640, 480, 0, 2560 * 480),        // no stride
        answer(V4L2_PIX_FMT_XBGR32, 640, 480, 2560, 0),              // no bytes
        answer(V4L2_PIX_FMT_XBGR32, 0, 480, 2560, 2560 * 480),       // no width
        answer(V4L2_PIX_FMT_XBGR32, 640, 0, 2560, 2560 * 480),       // no height
        answer(V4L2_PIX_FMT_XBGR32, 640, huge, 2560, huge),          // absurd height
        answer(V4L2_PIX_FMT_XBGR32, huge, 480, huge, huge),          // absurd width
        answer(V4L2_PIX_FMT_XBGR32, 65535, 65535, huge, huge),       // stride times height overflows 32 bits
        answer(V4L2_PIX_FMT_YUV420, 640, 480, 641, 641 * 480 * 3 / 2), // no whole chroma stride
        answer(V4L2_PIX_FMT_YUV420, 640, 480, 640, 640 * 480),         // no room for chroma
        answer(V4L2_PIX_FMT_NV12, 65534, 65534, huge, huge),           // the second plane begins far outside
        answer(V4L2_PIX_FMT_H264, 640, 480, 0, 0),                     // compressed, without a byte
    }));
    CAPTURE(fourcc_text(bad.code), bad.width, bad.height, bad.memory[0].stride, bad.memory[0].size);
    const auto format = check_answer(bad);
    REQUIRE_FALSE(format);
    CHECK(format.error().code == Code::invalid_argument);
    CHECK(format.error().text().find("the driver is at fault") != std::string::npos);
    CHECK(format.error().text().find(fourcc_text(bad.code)) != std::string::npos);
}

TEST_CASE("interlaced frames are refused with a text that says so", "[v4l2]") {
    auto a = answer(V4L2_PIX_FMT_XBGR32, 720, 576, 2880, 2880 * 576);
    a.field = V4L2_FIELD_INTERLACED;
    const auto format = check_answer(a);
    REQUIRE_FALSE(format);
    CHECK(format.error().code == Code::unsupported);
    CHECK(format.error().detail.find("interlaced") != std::string::npos);
}

TEST_CASE("compressed data is bytes: its buffers are rows of 4096, large enough", "[v4l2]") {
    auto format = check_answer(answer(V4L2_PIX_FMT_H264, 1920, 1080, 0, 100'000));
    REQUIRE(format);
    CHECK(format->compressed());
    const auto layout = buffer_layout(*format);
    REQUIRE(layout);
    CHECK(layout->format() == format::r8);
    CHECK(layout->size() == 25 * 4096);
    CHECK(layout->plane_bytes(0) >= 100'000);
    format->sizes[0] = 0xffff'ffff;
    CHECK(buffer_layout(*format).error().code == Code::limit);
}
