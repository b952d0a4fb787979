// SPDX-License-Identifier: MIT
// The kernel's EINVAL, explained by the device's limits.
#include <catch2/catch_test_macros.hpp>

#include <cerrno>

#include "refusal.hpp"

namespace {

using share::Code;
using share::FormatModifier;
using share::Layout;

const std::vector<FormatModifier> formats{{share::format::xrgb8888, share::modifier::linear},
                                          {share::format::rgb565, share::modifier::linear}};

share::Error explain(const Layout& layout, int os_errno = EINVAL) {
    share::kms::Limits limits{"/dev/dri/card9 (fake)", {}, formats};
    limits.capabilities.min_width = 20;
    limits.capabilities.max_width = 4096;
    limits.capabilities.min_height = 10;
    limits.capabilities.max_height = 2160;
    return share::kms::explain_refusal(limits, layout, os_errno);
}

Layout linear(std::uint32_t width, std::uint32_t height, share::Fourcc format = share::format::xrgb8888) {
    auto layout = Layout::linear(width, height, format);
    REQUIRE(layout);
    return *layout;
}

bool says(const share::Error& error, const std::string& word) {
    return error.text().find(word) != std::string::npos;
}

} // namespace

TEST_CASE("a framebuffer refused for its size is told the device's limits", "[kms][refusal]") {
    for (const auto& layout : {linear(4097, 100), linear(100, 2161), linear(19, 100), linear(100, 9)}) {
        const auto error = explain(layout);
        CHECK(error.code == Code::limit);
        CHECK(error.os_errno == EINVAL);
        CHECK(says(error, "20x10 to 4096x2160 pixels"));
        CHECK(says(error, "/dev/dri/card9 (fake)"));
    }
    CHECK_FALSE(explain(linear(4096, 2160)).code == Code::limit);
    CHECK_FALSE(explain(linear(20, 10)).code == Code::limit);
}

TEST_CASE("a framebuffer refused for its format is told what the primary plane shows", "[kms][refusal]") {
    const auto error = explain(linear(640, 480, share::format::nv12));
    CHECK(error.code == Code::unsupported);
    CHECK(says(error, "NV12"));
    CHECK(says(error, "XR24 (linear), RG16 (linear)"));
    CHECK(says(error, "convert"));
}

TEST_CASE("a framebuffer refused for its modifier is told so", "[kms][refusal]") {
    const share::Plane plane{0, 2560};
    auto tiled = Layout::describe(640, 480, share::format::xrgb8888, 0x0100'0000'0000'0002ULL,
                                  std::span(&plane, 1), 4U << 20U);
    REQUIRE(tiled);
    const auto error = explain(*tiled);
    CHECK(error.code == Code::unsupported);
    CHECK(says(error, "modifiers"));
    CHECK(says(error, "0x0100000000000002"));
}

TEST_CASE("a framebuffer refused though size and format are good is told of stride and offset",
          "[kms][refusal]") {
    const share::Plane plane{4096, 2564};
    auto odd = Layout::describe(640, 480, share::format::xrgb8888, share::modifier::none,
                                std::span(&plane, 1), 4U << 20U);
    REQUIRE(odd);
    const auto error = explain(*odd);
    CHECK(error.code == Code::invalid_argument);
    CHECK(says(error, "2564 bytes at offset 4096"));
    CHECK(says(error, "multiples of 256"));
}

TEST_CASE("a refusal for another reason keeps the kernel's word", "[kms][refusal]") {
    const auto error = explain(linear(640, 480), ENOMEM);
    CHECK(error.code == Code::out_of_memory);
    CHECK(error.os_errno == ENOMEM);
    CHECK(says(error, "ADDFB2"));
}
