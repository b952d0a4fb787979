// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <array>
#include <random>

#include <share/layout.hpp>

using namespace share;

TEST_CASE("a linear layout of every known format holds all its rows and nothing overlaps", "[layout]") {
    for (const auto& info : known_formats()) {
        for (const std::uint32_t width : {1U, 2U, 3U, 17U, 640U, 1921U}) {
            for (const std::uint32_t height : {1U, 2U, 5U, 481U}) {
                auto layout = Layout::linear(width, height, info.code);
                REQUIRE(layout);
                std::uint64_t end = 0;
                for (std::size_t i = 0; i < layout->plane_count(); ++i) {
                    CHECK(layout->plane(i).offset >= end);
                    CHECK(layout->plane(i).offset % 4096 == 0);
                    CHECK(layout->plane(i).stride % 64 == 0);
                    CHECK(layout->plane(i).stride >= layout->row_bytes(i));
                    end = layout->plane(i).offset + layout->plane_bytes(i);
                }
                CHECK(end <= layout->size());
                // What we make, we accept when somebody else describes it.
                CHECK(Layout::describe(width, height, info.code, modifier::linear, layout->planes(),
                                       layout->size()));
            }
        }
    }
}

TEST_CASE("subsampled planes round up", "[layout]") {
    auto layout = Layout::linear(5, 3, format::nv12, {.stride_align = 1, .offset_align = 1});
    REQUIRE(layout);
    CHECK(layout->plane_width(1) == 3);
    CHECK(layout->plane_height(1) == 2);
    CHECK(layout->row_bytes(1) == 6);
    CHECK(layout->size() == 5 * 3 + 6 * 2);
    CHECK(layout->pixel_bytes() == 27);
}

TEST_CASE("two pixels of YUYV share a block, so an odd width takes a whole one", "[layout]") {
    auto layout = Layout::linear(5, 1, format::yuyv, {.stride_align = 1, .offset_align = 1});
    REQUIRE(layout);
    CHECK(layout->row_bytes(0) == 12);
}

TEST_CASE("alignments that are asked for are kept", "[layout]") {
    auto layout =
        Layout::linear(100, 30, format::nv12,
                       {.stride_align = 256, .offset_align = 65536, .height_align = 16, .size_align = 8192});
    REQUIRE(layout);
    CHECK(layout->plane(0).stride == 256);
    CHECK(layout->plane(1).offset == 65536);
    CHECK(layout->size() % 8192 == 0);
    CHECK(layout->size() >= 65536 + 256 * 16);
    CHECK_FALSE(Layout::linear(100, 30, format::nv12, {.stride_align = 48}));
}

TEST_CASE("a foreign layout is refused with the rule that it breaks", "[layout]") {
    Layout::Fault fault{};
    const auto describe = [&](std::uint32_t w, std::uint32_t h, Fourcc f, std::vector<Plane> planes,
                              std::uint64_t size, std::uint64_t mod = modifier::linear) {
        return Layout::describe(w, h, f, mod, planes, size, &fault);
    };

    SECTION("unknown format") {
        CHECK_FALSE(describe(4, 4, fourcc('?', '?', '?', '?'), {{0, 16}}, 64));
        CHECK(fault == Layout::Fault::format);
    }
    SECTION("no width, no height, too much of either") {
        for (const auto& [w, h] : {std::pair{0U, 4U}, {4U, 0U}, {65536U, 1U}, {1U, UINT32_MAX}}) {
            CHECK_FALSE(describe(w, h, format::xrgb8888, {{0, UINT32_MAX}}, UINT64_MAX));
            CHECK(fault == Layout::Fault::dimensions);
        }
    }
    SECTION("no plane, one too many, one too few") {
        CHECK_FALSE(describe(4, 4, format::xrgb8888, {}, 64));
        CHECK(fault == Layout::Fault::plane_count);
        CHECK_FALSE(describe(4, 4, format::xrgb8888, {{0, 16}, {0, 16}}, 64));
        CHECK(fault == Layout::Fault::plane_count);
        CHECK_FALSE(describe(4, 4, format::nv12, {{0, 16}}, 64));
        CHECK(fault == Layout::Fault::plane_count);
    }
    SECTION("a stride that is shorter than a row, or zero") {
        for (const std::uint32_t stride : {0U, 1U, 15U}) {
            CHECK_FALSE(describe(4, 4, format::xrgb8888, {{0, stride}}, 4096));
            CHECK(fault == Layout::Fault::bounds);
        }
    }
    SECTION("rows that end one byte beyond the size, while the exact size is accepted") {
        CHECK(describe(4, 4, format::xrgb8888, {{8, 20}}, 8 + 3 * 20 + 16));
        CHECK(fault == Layout::Fault::none);
        CHECK_FALSE(describe(4, 4, format::xrgb8888, {{8, 20}}, 8 + 3 * 20 + 15));
        CHECK(fault == Layout::Fault::bounds);
    }
    SECTION("an offset that overflows 64 bits") {
        CHECK_FALSE(describe(4, 4, format::xrgb8888, {{UINT64_MAX - 15, 16}}, UINT64_MAX));
        CHECK(fault == Layout::Fault::bounds);
    }
    SECTION("a second plane that overruns") {
        CHECK(describe(4, 4, format::nv12, {{0, 4}, {16, 4}}, 24));
        CHECK_FALSE(describe(4, 4, format::nv12, {{0, 4}, {17, 4}}, 24));
        CHECK(fault == Layout::Fault::bounds);
    }
    SECTION("a tiled layout answers only for what is certain") {
        constexpr std::uint64_t tiled = 0x0100000000000002; // I915_FORMAT_MOD_Y_TILED
        CHECK(describe(4096, 4096, format::xrgb8888, {{0, 0}, {32, 64}}, 64, tiled));
        CHECK_FALSE(describe(4, 4, format::xrgb8888, {{64, 16}}, 64, tiled));
        CHECK(fault == Layout::Fault::bounds);
        CHECK_FALSE(describe(4, 4, format::xrgb8888, {{0, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 1}}, 64, tiled));
        CHECK(fault == Layout::Fault::plane_count);
    }
}

TEST_CASE("an accepted random layout never lets a row leave its range", "[layout]") {
    std::mt19937 random(20090514);
    const auto pick = [&](std::uint64_t max) {
        return std::uniform_int_distribution<std::uint64_t>(0, max)(random);
    };
    unsigned accepted = 0;
    for (int round = 0; round < 20000; ++round) {
        const auto& info = known_formats()[pick(known_formats().size() - 1)];
        const auto width = static_cast<std::uint32_t>(pick(40));
        const auto height = static_cast<std::uint32_t>(pick(20));
        const std::uint64_t size = pick(6000);
        std::vector<Plane> planes(info.plane_count);
        for (auto& plane : planes)
            plane = {pick(size + 8), static_cast<std::uint32_t>(pick(200))};
        auto layout = Layout::describe(width, height, info.code, modifier::linear, planes, size);
        if (!layout) continue;
        ++accepted;
        for (std::size_t i = 0; i < layout->plane_count(); ++i)
            for (std::uint32_t row = 0; row < layout->plane_height(i); ++row)
                REQUIRE(layout->plane(i).offset + std::uint64_t{layout->plane(i).stride} * row +
                            layout->row_bytes(i) <=
                        size);
    }
    CHECK(accepted > 500);
}

TEST_CASE("a rebased layout moves every plane and is checked again", "[layout]") {
    auto layout = Layout::linear(16, 16, format::nv12);
    REQUIRE(layout);
    auto moved = layout->rebased(4096, layout->size() + 4096);
    REQUIRE(moved);
    CHECK(moved->plane(1).offset == layout->plane(1).offset + 4096);
    CHECK_FALSE(layout->rebased(8192, layout->size() + 4096));
    CHECK_FALSE(layout->rebased(UINT64_MAX, UINT64_MAX));
}

TEST_CASE("fourcc codes and modifiers are written as people know them", "[layout]") {
    CHECK(fourcc_text(format::xrgb8888) == "XR24");
    CHECK(fourcc_text(1) == "0x00000001");
    CHECK(modifier_text(modifier::linear) == "linear");
    CHECK(modifier_text(modifier::none) == "none");
}

TEST_CASE("planes that follow have the strides that an API with one stride computes") {
    LayoutRules rules{.stride_align = 32, .offset_align = 4096, .height_align = 16, .planes_follow = true};
    for (const Fourcc code : {format::nv12, format::yuv420, format::nv16, format::yuv444, format::p010}) {
        for (const std::uint32_t width : {1U, 5U, 176U, 700U, 1366U, 1920U}) {
            const auto layout = Layout::linear(width, 1080, code, rules);
            INFO(fourcc_text(code) << " " << width);
            REQUIRE(layout);
            CHECK_FALSE(layout->broken_rule(rules));
            const FormatInfo& info = *find_format(code);
            const std::uint64_t rows = layout->plane(1).offset / layout->plane(0).stride;
            CHECK(layout->plane(1).offset % layout->plane(0).stride == 0);
            CHECK(rows >= 1088);
            CHECK(layout->plane(1).stride * info.planes[1].hsub * info.planes[0].block_bytes ==
                  layout->plane(0).stride * info.planes[1].block_bytes);
        }
    }
    // The two chroma planes of a width whose half is not aligned differ from what free strides would be.
    const auto follows =
        Layout::linear(700, 480, format::yuv420, {.stride_align = 64, .planes_follow = true});
    const auto free = Layout::linear(700, 480, format::yuv420, {.stride_align = 64});
    REQUIRE((follows && free));
    CHECK(follows->plane(0).stride == 2 * follows->plane(1).stride);
    CHECK(free->plane(0).stride != 2 * free->plane(1).stride);
    CHECK(free->broken_rule({.stride_align = 64, .planes_follow = true}) == LayoutRule::planes_follow);
}

TEST_CASE("a plane that follows and whose stride needs more than 32 bits is refused") {
    constexpr Fourcc nv24 = fourcc('N', 'V', '2', '4'); // its second stride is twice the first
    REQUIRE(find_format(nv24));
    const auto half = Layout::linear(16, 1, nv24, {.stride_align = 1U << 30U, .planes_follow = true});
    REQUIRE(half);
    CHECK(half->plane(1).stride == 1U << 31U);
    const auto layout = Layout::linear(16, 1, nv24, {.stride_align = 1U << 31U, .planes_follow = true});
    REQUIRE_FALSE(layout);
    CHECK(layout.error().code == Code::limit);
}

TEST_CASE("a layout of our own keeps the rules that it was made by, and is told which one it breaks") {
    for (const Fourcc code : {format::xrgb8888, format::nv12, format::yuv420, format::yuyv}) {
        for (const std::uint32_t align : {1U, 64U, 256U, 4096U}) {
            const LayoutRules rules{align, align, align, align, false};
            const auto layout = Layout::linear(333, 77, code, rules);
            REQUIRE(layout);
            CHECK_FALSE(layout->broken_rule(rules));
        }
    }
    const auto plain = Layout::linear(333, 77, format::nv12, {1, 1, 1, 1, false});
    REQUIRE(plain);
    CHECK(plain->broken_rule({64, 1, 1, 1, false}) == LayoutRule::stride_align);
    CHECK(plain->broken_rule({1, 4096, 1, 1, false}) == LayoutRule::offset_align);
    CHECK(plain->broken_rule({1, 1, 16, 1, false}) == LayoutRule::height_align);
    CHECK(plain->broken_rule({1, 1, 1, 4096, false}) == LayoutRule::size_align);
    CHECK(plain->broken_rule({1, 1, 1, 48, false}) == LayoutRule::size_align);
    CHECK(plain->broken_rule({1, 4096, 1, 1, false}, 64) == LayoutRule::offset_align);
}
