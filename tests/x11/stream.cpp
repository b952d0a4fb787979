// SPDX-License-Identifier: MIT
#include "stream.hpp"

#include <cstring>

#include <catch2/catch_test_macros.hpp>

namespace testing {

namespace {

std::uint32_t value(std::uint32_t x, std::uint32_t y, std::uint32_t seed) {
    std::uint32_t v = x * 2654435761U + y * 40503U + seed * 69069U;
    v ^= v >> 15;
    return v * 2246822519U;
}

std::uint32_t bytes_of(share::Fourcc format) {
    return share::find_format(format)->planes[0].block_bytes;
}

std::uint32_t meaning(share::Fourcc format) {
    if (format == share::format::rgb565) return 0xffff;
    if (format == share::format::xrgb2101010) return 0x3fffffff;
    return 0xffffff;
}

template<class Row>
void rows(std::uint32_t bytes, std::uint32_t width, std::uint32_t height, std::uint32_t seed,
          std::uint32_t mask, Row row) {
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x) {
            const std::uint32_t v = value(x, y, seed) & mask;
            std::memcpy(row(y) + std::size_t{x} * bytes, &v, bytes);
        }
}

} // namespace

Stream::Stream(const std::string& display, share::x11::SwapchainOptions options) {
    auto opened = share::x11::Connection::open(display, soon());
    if (!opened) FAIL(opened.error().text());
    connection = *opened;
    if (options.width == 0) {
        options.width = stream_width;
        options.height = stream_height;
    }
    share::x11::WindowOptions wanted;
    wanted.width = options.width;
    wanted.height = options.height;
    auto made = share::x11::Window::create(connection, wanted, soon());
    if (!made) FAIL(made.error().text());
    window = std::move(*made);
    REQUIRE(window->wait_mapped(soon()));
    auto chain = share::x11::X11Swapchain::create(connection, window->id(), heaps, ledger, options, soon());
    if (!chain) FAIL(chain.error().text());
    swapchain = std::move(*chain);
}

share::Result<void> Stream::frame(std::uint32_t seed, std::span<const share::Rect> damage) {
    auto image = swapchain->acquire(soon());
    if (!image) return std::move(image).error();
    {
        auto mapping = image->buffer->map(share::Access::write, soon());
        if (!mapping) return std::move(mapping).error();
        fill(*mapping, seed);
    }
    return swapchain->present(std::move(*image), damage, {});
}

void fill(const share::Mapping& mapping, std::uint32_t seed) {
    const auto& layout = mapping.layout();
    rows(bytes_of(layout.format()), layout.width(), layout.height(), seed, ~0U,
         [&](std::uint32_t y) { return mapping.row(0, y).data(); });
}

std::vector<std::uint8_t> expected(share::Fourcc format, std::uint32_t width, std::uint32_t height,
                                   std::uint32_t seed) {
    const auto bytes = bytes_of(format);
    std::vector<std::uint8_t> out(std::size_t{width} * height * bytes);
    rows(bytes, width, height, seed, meaning(format),
         [&](std::uint32_t y) { return out.data() + std::size_t{y} * width * bytes; });
    return out;
}

std::vector<std::uint8_t> shown(const std::string& display, xcb_window_t window, share::Fourcc format) {
    auto shot = look(display, window, stream_width, stream_height);
    const auto mask = meaning(format);
    REQUIRE(shot.bytes_per_pixel == bytes_of(format));
    for (std::size_t at = 0; at < shot.pixels.size(); at += shot.bytes_per_pixel) {
        std::uint32_t v = 0;
        std::memcpy(&v, &shot.pixels[at], shot.bytes_per_pixel);
        v &= mask;
        std::memcpy(&shot.pixels[at], &v, shot.bytes_per_pixel);
    }
    return std::move(shot.pixels);
}

std::string notes(const share::Ledger& ledger, const std::string& about) {
    std::string text;
    for (const auto& note : ledger.notes())
        if (note.about == about) text += note.text + "\n";
    return text;
}

} // namespace testing
