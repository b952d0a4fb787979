// SPDX-License-Identifier: MIT
#include "pattern.hpp"

#include <algorithm>
#include <cstring>

namespace share::egl {

namespace {

// Where a channel lies in the little-endian pixel.
struct Channel {
    std::uint8_t shift = 0, bits = 0;
};
struct Packed {
    Fourcc format;
    std::uint8_t bytes;
    Channel r, g, b, a;
};

constexpr std::array packed_formats{
    Packed{format::xrgb8888, 4, {16, 8}, {8, 8}, {0, 8}, {24, 8}},
    Packed{format::argb8888, 4, {16, 8}, {8, 8}, {0, 8}, {24, 8}},
    Packed{format::xbgr8888, 4, {0, 8}, {8, 8}, {16, 8}, {24, 8}},
    Packed{format::abgr8888, 4, {0, 8}, {8, 8}, {16, 8}, {24, 8}},
    Packed{format::rgb565, 2, {11, 5}, {5, 6}, {0, 5}, {}},
    Packed{format::xrgb2101010, 4, {20, 10}, {10, 10}, {0, 10}, {30, 2}},
    Packed{format::argb2101010, 4, {20, 10}, {10, 10}, {0, 10}, {30, 2}},
    Packed{format::xbgr2101010, 4, {0, 10}, {10, 10}, {20, 10}, {30, 2}},
    Packed{format::abgr2101010, 4, {0, 10}, {10, 10}, {20, 10}, {30, 2}},
    Packed{format::rgb888, 3, {16, 8}, {8, 8}, {0, 8}, {}},
    Packed{format::bgr888, 3, {0, 8}, {8, 8}, {16, 8}, {}},
    Packed{format::r8, 1, {0, 8}, {}, {}, {}},
    Packed{format::gr88, 2, {0, 8}, {8, 8}, {}, {}},
};

constexpr std::array<Rgb, 4> colours{Rgb{255, 0, 0}, Rgb{0, 255, 0}, Rgb{0, 0, 255}, Rgb{255, 255, 255}};
// The same in BT.601, limited range.
constexpr std::array<std::array<std::uint8_t, 3>, 4> yuv_colours{
    {{81, 90, 240}, {145, 54, 34}, {41, 240, 110}, {235, 128, 128}}};

const Packed* find_packed(Fourcc format) noexcept {
    const auto* found = std::find_if(packed_formats.begin(), packed_formats.end(),
                                     [&](const Packed& p) { return p.format == format; });
    return found == packed_formats.end() ? nullptr : found;
}

std::size_t quadrant(std::uint32_t x, std::uint32_t y, std::uint32_t width, std::uint32_t height) noexcept {
    return (y >= height / 2 ? 2U : 0U) + (x >= width / 2 ? 1U : 0U);
}

std::uint32_t put(Channel channel, std::uint8_t value) noexcept {
    if (channel.bits == 0 || value < 128) return 0;
    return ((1U << channel.bits) - 1) << channel.shift;
}

void write_packed(const Mapping& into, const Packed& format) noexcept {
    const std::uint32_t width = into.layout().width(), height = into.layout().height();
    for (std::uint32_t y = 0; y < height; ++y) {
        std::byte* at = into.row(0, y).data();
        for (std::uint32_t x = 0; x < width; ++x, at += format.bytes) {
            const Rgb c = colours[quadrant(x, y, width, height)];
            const std::uint32_t pixel =
                put(format.r, c.r) | put(format.g, c.g) | put(format.b, c.b) | put(format.a, 255);
            std::memcpy(at, &pixel, format.bytes); // little-endian, as the formats are
        }
    }
}

// Which of Y, U, V the bytes of a block of plane `i` hold.
std::array<std::uint8_t, 4> block_order(Fourcc code, std::size_t plane) noexcept {
    if (code == format::yuyv) return {0, 1, 0, 2};
    if (plane == 0) return {0, 0, 0, 0};
    if (code == format::nv21) return {2, 1, 0, 0};
    if (code == format::nv12 || code == format::nv16) return {1, 2, 0, 0};
    if (code == format::yvu420) return {static_cast<std::uint8_t>(plane == 1 ? 2 : 1), 0, 0, 0};
    return {static_cast<std::uint8_t>(plane), 0, 0, 0};
}

void write_yuv(const Mapping& into, const FormatInfo& info) noexcept {
    for (std::size_t p = 0; p < info.plane_count; ++p) {
        const auto order = block_order(info.code, p);
        const std::uint32_t width = into.layout().plane_width(p), height = into.layout().plane_height(p);
        const std::uint32_t step = info.planes[p].block_width;
        for (std::uint32_t y = 0; y < height; ++y) {
            std::byte* at = into.row(p, y).data();
            for (std::uint32_t x = 0; x < width; x += step)
                for (std::size_t b = 0; b < info.planes[p].block_bytes; ++b)
                    *at++ = static_cast<std::byte>(yuv_colours[quadrant(x, y, width, height)][order[b]]);
        }
    }
}

} // namespace

Rgb pattern_colour(Fourcc format, std::uint32_t x, std::uint32_t y) noexcept {
    Rgb colour = colours[quadrant(x, y, pattern_size, pattern_size)];
    if (const Packed* packed = find_packed(format)) {
        if (packed->g.bits == 0) colour.g = 0;
        if (packed->b.bits == 0) colour.b = 0;
    }
    return colour;
}

bool pattern_known(Fourcc format) noexcept {
    const FormatInfo* info = find_format(format);
    return find_packed(format) || (info && info->yuv && format != format::p010);
}

void write_pattern(const Mapping& into) noexcept {
    const Fourcc format = into.layout().format();
    if (const Packed* packed = find_packed(format)) return write_packed(into, *packed);
    write_yuv(into, *find_format(format));
}

} // namespace share::egl
