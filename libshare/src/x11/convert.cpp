// SPDX-License-Identifier: MIT
#include "convert.hpp"

#include <cstring>

namespace share::x11 {

namespace {

constexpr std::uint32_t red(std::uint32_t p) {
    return (p >> 16) & 0xff;
}
constexpr std::uint32_t green(std::uint32_t p) {
    return (p >> 8) & 0xff;
}
constexpr std::uint32_t blue(std::uint32_t p) {
    return p & 0xff;
}
/// Nearest value of the narrower range, so that white stays white and grey stays grey.
constexpr std::uint32_t narrow(std::uint32_t v, std::uint32_t top) {
    return (v * top + 127) / 255;
}
constexpr std::uint32_t widen(std::uint32_t v) {
    return (v << 2) | (v >> 6);
}

template<class Out, class F>
void convert_rows(const Mapping& from, const Mapping& to, F pixel) noexcept {
    const auto& layout = to.layout();
    for (std::uint32_t y = 0; y < layout.height(); ++y) {
        const std::byte* in = from.row(0, y).data();
        std::byte* out = to.row(0, y).data();
        for (std::uint32_t x = 0; x < layout.width(); ++x) {
            std::uint32_t p;
            std::memcpy(&p, in + std::size_t{x} * 4, 4);
            const Out q = static_cast<Out>(pixel(p));
            std::memcpy(out + std::size_t{x} * sizeof q, &q, sizeof q);
        }
    }
}

} // namespace

bool same_bytes(Fourcc from, Fourcc to) noexcept {
    return from == to || (from == format::argb8888 && to == format::xrgb8888) ||
           (from == format::abgr8888 && to == format::xbgr8888);
}

bool converts(Fourcc from, Fourcc to) noexcept {
    const bool opaque = to == format::xbgr8888 || to == format::rgb565 || to == format::xrgb2101010 ||
                        to == format::xbgr2101010;
    const bool alpha = to == format::argb8888 || to == format::abgr8888;
    return (from == format::xrgb8888 && (opaque || alpha)) || (from == format::argb8888 && opaque);
}

void convert(const Mapping& from, const Mapping& to) noexcept {
    using U32 = std::uint32_t;
    switch (to.layout().format()) {
    case format::argb8888:
        convert_rows<U32>(from, to, [](U32 p) { return p | 0xff000000; });
        break;
    case format::xbgr8888:
    case format::abgr8888:
        convert_rows<U32>(from, to,
                          [](U32 p) { return 0xff000000 | blue(p) << 16 | green(p) << 8 | red(p); });
        break;
    case format::rgb565:
        convert_rows<std::uint16_t>(from, to, [](U32 p) {
            return narrow(red(p), 31) << 11 | narrow(green(p), 63) << 5 | narrow(blue(p), 31);
        });
        break;
    case format::xrgb2101010:
        convert_rows<U32>(from, to,
                          [](U32 p) { return widen(red(p)) << 20 | widen(green(p)) << 10 | widen(blue(p)); });
        break;
    case format::xbgr2101010:
        convert_rows<U32>(from, to,
                          [](U32 p) { return widen(blue(p)) << 20 | widen(green(p)) << 10 | widen(red(p)); });
        break;
    default:
        break;
    }
}

} // namespace share::x11
