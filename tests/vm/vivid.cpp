// SPDX-License-Identifier: MIT
#include "vivid.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <cstring>

namespace testing {

using namespace share;
using namespace share::v4l2;

Device vivid() {
    auto device = Device::find("vivid", Kind::capture);
    if (!device) SKIP("no camera of driver vivid: " + device.error().text());
    // "None": no text on the picture. "Move Left". Neither is a camera's usual control: vivid's own.
    for (const auto& [name, value] : {std::pair{"OSD Text Mode", 2}, {"Horizontal Movement", 1}})
        if (auto set = device->set_control(name, value); !set) FAIL(set.error().text());
    return *std::move(device);
}

CameraOptions vivid_options() {
    CameraOptions options;
    options.width = vivid_width;
    options.height = vivid_height;
    options.formats = {format::xrgb8888};
    options.rate = 60;
    return options;
}

std::unique_ptr<Camera> vivid_camera(const HeapTable& heaps, CameraOptions options) {
    auto camera = Camera::open(vivid(), heaps, options);
    if (!camera) FAIL(camera.error().text());
    return *std::move(camera);
}

namespace {

/// Where the colour changes, and to what: "0 ffffff, 80 ffff00".
std::string colours(const Picture& picture, int row) {
    std::string text;
    int changes = 0;
    for (int x = 0; x < picture.width && changes < 24; ++x) {
        const auto& p = picture.at(x, row);
        if (x > 0) {
            const auto& before = picture.at(x - 1, row);
            if (p.r == before.r && p.g == before.g && p.b == before.b) continue;
        }
        text += fmt::format("{}{} {:02x}{:02x}{:02x}", changes++ == 0 ? "" : ", ", x, p.r, p.g, p.b);
    }
    return text;
}

} // namespace

std::optional<std::uint32_t> moved(const Picture& picture, int row) {
    // The bars go from white to black in eight equal steps: the one place where black meets white is where
    // the picture begins.
    const int width = picture.width;
    const auto bright = [&](int x) {
        const auto& p = picture.at(x % width, row);
        return p.r > 128 && p.g > 128 && p.b > 128;
    };
    const auto dark = [&](int x) {
        const auto& p = picture.at(x % width, row);
        return p.r < 64 && p.g < 64 && p.b < 64;
    };
    std::optional<std::uint32_t> found;
    int times = 0;
    for (int x = 0; x < width; ++x) {
        if (!dark(x + width - 1) || !bright(x)) continue;
        ++times;
        found = static_cast<std::uint32_t>((width - x) % width);
    }
    if (times == 1) return found;
    UNSCOPED_INFO("no colour bars in row " << row << ": " << colours(picture, row));
    return std::nullopt;
}

Picture picture_of(Buffer& buffer) {
    auto mapping = buffer.map(Access::read, Deadline::in(std::chrono::seconds(5)));
    if (!mapping) FAIL(mapping.error().text());
    const auto& layout = buffer.layout();
    REQUIRE(layout.format() == format::xrgb8888);
    Picture picture{static_cast<int>(layout.width()), static_cast<int>(layout.height()), {}};
    for (std::uint32_t y = 0; y < layout.height(); ++y)
        for (std::uint32_t x = 0; x < layout.width(); ++x) {
            std::uint32_t pixel = 0;
            std::memcpy(&pixel, mapping->row(0, y).data() + std::size_t{x} * 4, sizeof pixel);
            picture.pixels.push_back({static_cast<std::uint8_t>(pixel >> 16),
                                      static_cast<std::uint8_t>(pixel >> 8),
                                      static_cast<std::uint8_t>(pixel)});
        }
    return picture;
}

} // namespace testing
