// SPDX-License-Identifier: MIT
#include "codec.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>

namespace testing {

using namespace share;
using namespace share::v4l2;

namespace {

/// Byte of red, green and blue in a pixel of three bytes.
std::array<std::size_t, 3> byte_order(Fourcc format) {
    REQUIRE((format == format::bgr888 || format == format::rgb888));
    if (format == format::bgr888) return {0, 1, 2}; // V4L2's RGB24
    return {2, 1, 0};
}

Rgb from_565(const std::byte* at) {
    std::uint16_t p = 0;
    std::memcpy(&p, at, sizeof p);
    const unsigned r = p >> 11U, g = (p >> 5U) & 0x3fU, b = p & 0x1fU;
    return {static_cast<std::uint8_t>(r << 3U | r >> 2U), static_cast<std::uint8_t>(g << 2U | g >> 4U),
            static_cast<std::uint8_t>(b << 3U | b >> 2U)};
}

void set(M2m& m2m, Side side, const StreamSize& size) {
    const auto done = m2m.set_format(side, {size.code, size.width, size.height, true});
    if (!done) FAIL(done.error().text());
}

} // namespace

std::unique_ptr<M2m> open_m2m(const std::string& driver, Side side, PixelCode wanted) {
    auto device = Device::find(driver, Kind::m2m, side, wanted);
    if (!device) SKIP(device.error().text());
    // vim2m sleeps to look like hardware.
    if (driver == "vim2m")
        if (auto fast = device->set_control("Transaction Time (msec)", 1); !fast) FAIL(fast.error().text());
    auto m2m = M2m::open(*std::move(device));
    if (!m2m) FAIL(m2m.error().text());
    return *std::move(m2m);
}

std::vector<std::shared_ptr<Buffer>> buffers_for(const M2m& m2m, Side side, const HeapTable& heaps,
                                                 const std::string& heap, std::uint32_t count) {
    auto found = heaps.find(heap);
    if (!found) SKIP(found.error().text());
    const auto format = m2m.format(side);
    if (!format) FAIL(format.error().text());
    auto buffers = make_buffers(**found, *format, count, "vm test");
    if (!buffers) FAIL(buffers.error().text());
    return *std::move(buffers);
}

Picture painting(int width, int height, int number) {
    Picture picture{width, height, {}};
    const int left = 32 + 64 * (number % 8), top = 64 + 32 * number;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const bool square = x >= left && x < left + 64 && y >= top && y < top + 64;
            const auto r = static_cast<std::uint8_t>(square ? 240 : 20 + x * 200 / width);
            const auto g = static_cast<std::uint8_t>(square ? 200 : 30 + y * 200 / height);
            const auto b = static_cast<std::uint8_t>(square ? 40 : 220 - (x + y) * 200 / (width + height));
            picture.pixels.push_back({r, g, b});
        }
    return picture;
}

Picture scaled_down(const Picture& picture, int width, int height) {
    Picture small{width, height, {}};
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            small.pixels.push_back(picture.at(x * (picture.width / width), y * (picture.height / height)));
    return small;
}

Picture as_vim2m_565(const Picture& picture) {
    Picture cut = picture;
    for (std::size_t i = 0; i < cut.pixels.size(); ++i) {
        const auto& p = picture.pixels[i & ~std::size_t{1}];
        cut.pixels[i] = {static_cast<std::uint8_t>((p.r & 0xf8U) | p.r >> 5U),
                         static_cast<std::uint8_t>((p.g & 0xfcU) | p.g >> 6U),
                         static_cast<std::uint8_t>((p.b & 0xf8U) | p.b >> 5U)};
    }
    return cut;
}

void write_picture(Buffer& buffer, const Picture& picture) {
    auto mapping = buffer.map(Access::write, soon());
    if (!mapping) FAIL(mapping.error().text());
    const auto order = byte_order(buffer.layout().format());
    for (int y = 0; y < picture.height; ++y) {
        std::byte* at = mapping->row(0, static_cast<std::uint32_t>(y)).data();
        for (int x = 0; x < picture.width; ++x, at += 3) {
            const auto& p = picture.at(x, y);
            at[order[0]] = std::byte{p.r};
            at[order[1]] = std::byte{p.g};
            at[order[2]] = std::byte{p.b};
        }
    }
}

Picture read_picture(Buffer& buffer) {
    auto mapping = buffer.map(Access::read, soon());
    if (!mapping) FAIL(mapping.error().text());
    const auto& layout = buffer.layout();
    const bool packed = layout.format() == format::rgb565;
    const auto order = packed ? std::array<std::size_t, 3>{} : byte_order(layout.format());
    Picture picture{static_cast<int>(layout.width()), static_cast<int>(layout.height()), {}};
    for (std::uint32_t y = 0; y < layout.height(); ++y) {
        const std::byte* at = mapping->row(0, y).data();
        for (std::uint32_t x = 0; x < layout.width(); ++x, at += packed ? 2 : 3)
            picture.pixels.push_back(packed ? from_565(at)
                                            : Rgb{std::to_integer<std::uint8_t>(at[order[0]]),
                                                  std::to_integer<std::uint8_t>(at[order[1]]),
                                                  std::to_integer<std::uint8_t>(at[order[2]])});
    }
    return picture;
}

std::vector<Packet> encode(const HeapTable& heaps, const std::string& heap, int count, int width,
                           int height) {
    const auto encoder = open_m2m("vicodec", Side::capture, code::fwht);
    for (const char* const quality : {"FWHT I-Frame QP Value", "FWHT P-Frame QP Value"})
        if (auto best = encoder->device().set_control(quality, 1); !best) FAIL(best.error().text());
    set(*encoder, Side::output,
        {code::rgb24, static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height)});
    const auto places = static_cast<std::uint32_t>(count);
    REQUIRE(encoder->reserve(Side::output, places));
    REQUIRE(encoder->reserve(Side::capture, places + 1)); // the drain may end with an empty one
    for (const auto& buffer : buffers_for(*encoder, Side::capture, heaps, heap, places + 1))
        REQUIRE(encoder->queue(Side::capture, buffer));
    const auto pictures = buffers_for(*encoder, Side::output, heaps, heap, places);
    for (int i = 0; i < count; ++i) {
        write_picture(*pictures[static_cast<std::size_t>(i)], painting(width, height, i));
        const auto queued = encoder->queue(Side::output, pictures[static_cast<std::size_t>(i)]);
        if (!queued) FAIL(queued.error().text());
    }
    REQUIRE(encoder->start(Side::output));
    REQUIRE(encoder->start(Side::capture));
    const auto drained = encoder->drain();
    if (!drained) FAIL(drained.error().text());
    std::vector<Packet> packets;
    for (;;) {
        const auto event = encoder->wait(soon());
        if (!event) FAIL(event.error().text());
        if (event->kind == M2m::Event::Kind::finished) return packets;
        if (event->kind != M2m::Event::Kind::buffer || event->side == Side::output) continue;
        CHECK_FALSE(event->corrupt);
        if (event->bytes > 0) packets.push_back({event->buffer, event->bytes});
    }
}

} // namespace testing
