// SPDX-License-Identifier: MIT
#include "render/probe.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace compositor::render {

namespace {

namespace fm = share::format;

// Masks of red, green and blue in the little-endian pixel; all other bits are set (alpha, or ignored).
struct Packed {
    share::Fourcc format;
    std::uint8_t bytes;
    std::uint32_t r, g, b;
};
constexpr std::array packed_formats{
    Packed{fm::xrgb8888, 4, 0x00ff0000, 0x0000ff00, 0x000000ff},
    Packed{fm::argb8888, 4, 0x00ff0000, 0x0000ff00, 0x000000ff},
    Packed{fm::xbgr8888, 4, 0x000000ff, 0x0000ff00, 0x00ff0000},
    Packed{fm::abgr8888, 4, 0x000000ff, 0x0000ff00, 0x00ff0000},
    Packed{fm::rgb565, 2, 0xf800, 0x07e0, 0x001f},
    Packed{fm::xrgb2101010, 4, 0x3ff00000, 0x000ffc00, 0x000003ff},
    Packed{fm::argb2101010, 4, 0x3ff00000, 0x000ffc00, 0x000003ff},
    Packed{fm::xbgr2101010, 4, 0x000003ff, 0x000ffc00, 0x3ff00000},
    Packed{fm::abgr2101010, 4, 0x000003ff, 0x000ffc00, 0x3ff00000},
    Packed{fm::rgb888, 3, 0xff0000, 0x00ff00, 0x0000ff},
    Packed{fm::bgr888, 3, 0x0000ff, 0x00ff00, 0xff0000},
    Packed{fm::r8, 1, 0xff, 0, 0},
    Packed{fm::gr88, 2, 0x00ff, 0xff00, 0},
};

constexpr std::array<std::array<int, 3>, 4> colours{{{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}}};
// The same in BT.601, limited range: the renderers' choice for small pictures.
constexpr std::array<std::array<int, 3>, 4> yuv_colours{
    {{81, 90, 240}, {145, 54, 34}, {41, 240, 110}, {235, 128, 128}}};

const Packed* find_packed(share::Fourcc format) {
    for (const Packed& packed : packed_formats)
        if (packed.format == format) return &packed;
    return nullptr;
}

std::size_t quadrant(std::uint32_t x, std::uint32_t y, std::uint32_t width, std::uint32_t height) {
    return (y >= height / 2 ? 2U : 0U) + (x >= width / 2 ? 1U : 0U);
}

void write_packed(const share::Mapping& into, const Packed& packed) {
    const std::uint32_t rest = ~(packed.r | packed.g | packed.b);
    for (std::uint32_t y = 0; y < probe_size; ++y) {
        std::byte* at = into.row(0, y).data();
        for (std::uint32_t x = 0; x < probe_size; ++x, at += packed.bytes) {
            const auto& c = colours[quadrant(x, y, probe_size, probe_size)];
            const std::uint32_t pixel =
                rest | (c[0] ? packed.r : 0U) | (c[1] ? packed.g : 0U) | (c[2] ? packed.b : 0U);
            std::memcpy(at, &pixel, packed.bytes);
        }
    }
}

// Which of Y, U, V the bytes of a block of this plane hold.
std::array<std::size_t, 4> block_order(share::Fourcc code, std::size_t plane) {
    if (code == fm::yuyv) return {0, 1, 0, 2};
    if (plane == 0) return {0, 0, 0, 0};
    if (code == fm::nv21) return {2, 1, 0, 0};
    if (code == fm::nv12 || code == fm::nv16) return {1, 2, 0, 0};
    if (code == fm::yvu420) return {plane == 1 ? 2U : 1U, 0, 0, 0};
    return {plane, 0, 0, 0};
}

void write_yuv(const share::Mapping& into, const share::FormatInfo& info) {
    for (std::size_t p = 0; p < info.plane_count; ++p) {
        const auto order = block_order(info.code, p);
        const std::uint32_t width = into.layout().plane_width(p), height = into.layout().plane_height(p);
        for (std::uint32_t y = 0; y < height; ++y) {
            std::byte* at = into.row(p, y).data();
            for (std::uint32_t x = 0; x < width; x += info.planes[p].block_width)
                for (std::size_t b = 0; b < info.planes[p].block_bytes; ++b)
                    *at++ = static_cast<std::byte>(yuv_colours[quadrant(x, y, width, height)][order[b]]);
        }
    }
}

share::Result<std::shared_ptr<share::Buffer>> make_buffer(share::Heap& heap, share::Fourcc format,
                                                          std::uint64_t modifier) {
    auto chosen = share::Layout::linear(probe_size, probe_size, format, {256, 4096, 1, 4096});
    if (!chosen) return std::move(chosen).error();
    auto layout =
        share::Layout::describe(probe_size, probe_size, format, modifier, chosen->planes(), chosen->size());
    if (!layout) return std::move(layout).error();
    auto memory = heap.allocate(layout->size(), "renderer probe");
    if (!memory) return std::move(memory).error();
    auto buffer = share::Buffer::create(std::move(*memory), 0, *layout);
    if (!buffer) return std::move(buffer).error();
    auto mapping = (*buffer)->map(share::Access::write, share::Deadline::in(std::chrono::milliseconds(100)));
    if (!mapping) return std::move(mapping).error();
    if (const Packed* packed = find_packed(format))
        write_packed(*mapping, *packed);
    else
        write_yuv(*mapping, *share::find_format(format));
    if (auto ended = mapping->end(); !ended) return std::move(ended).error();
    return buffer;
}

share::Result<void> compare(share::Fourcc format, std::span<const std::uint32_t> pixels) {
    const Packed* packed = find_packed(format);
    const int tolerance = packed ? 3 : 8;
    for (std::uint32_t y = 2; y < probe_size; y += 4) { // away from the borders, where chroma is mixed
        for (std::uint32_t x = 2; x < probe_size; x += 4) {
            const auto& want = colours[quadrant(x, y, probe_size, probe_size)];
            const std::uint32_t got = pixels[y * probe_size + x];
            const std::array<bool, 3> has{!packed || packed->r != 0, !packed || packed->g != 0,
                                          !packed || packed->b != 0};
            for (std::size_t c = 0; c < 3; ++c)
                if (std::abs(static_cast<int>((got >> (16 - 8 * c)) & 0xff) - (has[c] ? want[c] : 0)) >
                    tolerance)
                    return share::make_error(
                        share::Code::corrupt, "probing " + share::fourcc_text(format),
                        fmt::format("pixel {},{} came out as {:06x}", x, y, got & 0xffffff));
        }
    }
    return {};
}

} // namespace

bool can_probe(share::Fourcc format) {
    const auto* info = share::find_format(format);
    return find_packed(format) || (info && info->yuv && format != fm::p010);
}

share::Result<void> probe_format(Renderer& renderer, Target& target, share::Heap& heap, share::Fourcc format,
                                 std::uint64_t modifier, bool dmabuf) {
    auto buffer = make_buffer(heap, format, modifier);
    if (!buffer) return std::move(buffer).error();
    auto content = renderer.import(*buffer, dmabuf);
    if (!content) return std::move(content).error();
    const scene::Rect all{0, 0, probe_size, probe_size};
    scene::Drawn came_to;
    if (auto fresh = renderer.refresh(**content, scene::Region(all)); !fresh) return fresh;
    scene::Frame frame;
    frame.width = frame.height = probe_size;
    frame.damage = scene::Region(all);
    scene::Item item;
    item.content = *content;
    item.source = {0, 0, probe_size, probe_size};
    item.dest = all;
    item.clip = frame.damage;
    frame.items.push_back(std::move(item));
    if (auto drawn = renderer.render(target, frame, came_to); !drawn) return drawn;
    std::array<std::uint32_t, probe_size * probe_size> pixels{};
    if (auto read = renderer.read(target, std::as_writable_bytes(std::span(pixels)), probe_size * 4); !read)
        return read;
    return compare(format, pixels);
}

} // namespace compositor::render
