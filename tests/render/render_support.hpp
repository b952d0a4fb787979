// SPDX-License-Identifier: MIT
// What the tests of the renderers share: both renderers (or a skip that says what is missing), buffers,
// items and the picture read back.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include <share/share.hpp>

#include "render/renderer.hpp"

namespace testing {

using namespace compositor;
using namespace std::chrono_literals;
using Pixels = std::vector<std::uint32_t>;

inline std::unique_ptr<render::Renderer> make_renderer(const std::string& name) {
    REQUIRE(share::install_sigbus_guard());
    std::string why;
    auto renderer = render::create_renderer({name}, why);
    if (!renderer && name == "gl") SKIP("EGL is missing: " << renderer.error().text());
    REQUIRE(renderer);
    return std::move(*renderer);
}

inline share::HeapTable& heaps() {
    static share::HeapTable table = share::HeapTable::probe();
    return table;
}

inline std::shared_ptr<share::Buffer> make_buffer(int width, int height, share::Fourcc format) {
    auto heap = heaps().find("memfd");
    REQUIRE(heap);
    auto layout =
        share::Layout::linear(static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), format);
    REQUIRE(layout);
    auto memory = (*heap)->allocate(layout->size(), "render test");
    REQUIRE(memory);
    auto buffer = share::Buffer::create(*memory, 0, *layout);
    REQUIRE(buffer);
    return *buffer;
}

inline void write(share::Buffer& buffer, const Pixels& pixels) {
    auto mapping = buffer.map(share::Access::write, share::Deadline::in(1s));
    REQUIRE(mapping);
    const std::size_t width = buffer.layout().width();
    for (std::uint32_t y = 0; y < buffer.layout().height(); ++y)
        std::memcpy(mapping->row(0, y).data(), &pixels[y * width], width * 4);
}

/// Premultiplied noise, the same each time.
inline Pixels noise(int width, int height, std::uint32_t seed, bool smooth = false) {
    Pixels pixels(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
    std::uint32_t state = seed * 2654435761U + 1;
    std::size_t at = 0;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x, ++at) {
            state = state * 1664525U + 1013904223U;
            const std::uint32_t alpha = smooth ? 255U : state >> 24;
            std::uint32_t pixel = alpha << 24;
            for (unsigned c = 0; c < 3; ++c) {
                const std::uint32_t value =
                    smooth ? static_cast<std::uint32_t>((x * (c + 1) + y * (3 - c)) % 256)
                           : (state >> (8 * c)) & 0xffU;
                pixel |= (value * alpha / 255U) << (8 * c);
            }
            pixels[at] = pixel;
        }
    return pixels;
}

inline scene::Item item_of(std::shared_ptr<scene::Content> content, scene::Rect dest) {
    scene::Item item;
    item.source = {0, 0, static_cast<double>(content->width()), static_cast<double>(content->height())};
    item.content = std::move(content);
    item.dest = dest;
    item.clip = scene::Region(dest);
    return item;
}

inline std::shared_ptr<scene::Content> import(render::Renderer& renderer,
                                              std::shared_ptr<share::Buffer> buffer, bool dmabuf = false) {
    auto content = renderer.import(std::move(buffer), dmabuf);
    if (!content) FAIL(content.error().text());
    REQUIRE(renderer.refresh(**content,
                             scene::Region(scene::Rect{0, 0, (*content)->width(), (*content)->height()})));
    return *content;
}

using scene::Drawn;
inline Drawn draw(render::Renderer& renderer, render::Target& target, std::vector<scene::Item> items) {
    Drawn drawn;
    scene::Frame frame;
    frame.width = target.width();
    frame.height = target.height();
    for (const auto& item : items)
        frame.damage.add(item.clip);
    frame.items = std::move(items);
    auto rendered = renderer.render(target, frame, drawn);
    if (!rendered) FAIL(rendered.error().text());
    return drawn;
}

/// The picture, without the ignored byte.
inline Pixels picture(render::Renderer& renderer, render::Target& target) {
    Pixels pixels(static_cast<std::size_t>(target.width()) * static_cast<std::size_t>(target.height()));
    REQUIRE(renderer.read(target, std::as_writable_bytes(std::span(pixels)),
                          static_cast<std::uint32_t>(target.width()) * 4));
    for (auto& pixel : pixels)
        pixel &= 0xffffff;
    return pixels;
}

} // namespace testing
