// SPDX-License-Identifier: MIT
#include <share/format.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace share {
namespace {

constexpr FormatInfo packed(Fourcc code, std::string_view name, std::uint8_t bytes, bool alpha = false) {
    return {code, name, 1, alpha, false, {FormatPlane{bytes, 1, 1, 1}}};
}
constexpr FormatInfo semi_planar(Fourcc code, std::string_view name, std::uint8_t sample, std::uint8_t hsub,
                                 std::uint8_t vsub) {
    return {
        code,
        name,
        2,
        false,
        true,
        {FormatPlane{sample, 1, 1, 1}, FormatPlane{static_cast<std::uint8_t>(2 * sample), 1, hsub, vsub}}};
}
constexpr FormatInfo planar(Fourcc code, std::string_view name, std::uint8_t hsub, std::uint8_t vsub) {
    return {code, name,
            3,    false,
            true, {FormatPlane{1, 1, 1, 1}, FormatPlane{1, 1, hsub, vsub}, FormatPlane{1, 1, hsub, vsub}}};
}
constexpr FormatInfo yuv_packed(Fourcc code, std::string_view name) {
    return {code, name, 1, false, true, {FormatPlane{4, 2, 1, 1}}};
}

constexpr std::array formats{
    packed(format::xrgb8888, "XRGB8888", 4),
    packed(format::argb8888, "ARGB8888", 4, true),
    packed(format::xbgr8888, "XBGR8888", 4),
    packed(format::abgr8888, "ABGR8888", 4, true),
    packed(fourcc('R', 'X', '2', '4'), "RGBX8888", 4),
    packed(fourcc('R', 'A', '2', '4'), "RGBA8888", 4, true),
    packed(fourcc('B', 'X', '2', '4'), "BGRX8888", 4),
    packed(fourcc('B', 'A', '2', '4'), "BGRA8888", 4, true),
    packed(format::rgb888, "RGB888", 3),
    packed(format::bgr888, "BGR888", 3),
    packed(format::rgb565, "RGB565", 2),
    packed(fourcc('B', 'G', '1', '6'), "BGR565", 2),
    packed(fourcc('X', 'R', '1', '5'), "XRGB1555", 2),
    packed(fourcc('A', 'R', '1', '5'), "ARGB1555", 2, true),
    packed(fourcc('X', 'R', '1', '2'), "XRGB4444", 2),
    packed(fourcc('A', 'R', '1', '2'), "ARGB4444", 2, true),
    packed(format::xrgb2101010, "XRGB2101010", 4),
    packed(format::argb2101010, "ARGB2101010", 4, true),
    packed(format::xbgr2101010, "XBGR2101010", 4),
    packed(format::abgr2101010, "ABGR2101010", 4, true),
    packed(fourcc('X', 'R', '4', 'H'), "XRGB16161616F", 8),
    packed(fourcc('A', 'R', '4', 'H'), "ARGB16161616F", 8, true),
    packed(fourcc('X', 'B', '4', 'H'), "XBGR16161616F", 8),
    packed(fourcc('A', 'B', '4', 'H'), "ABGR16161616F", 8, true),
    packed(fourcc('X', 'B', '4', '8'), "XBGR16161616", 8),
    packed(fourcc('A', 'B', '4', '8'), "ABGR16161616", 8, true),
    packed(format::r8, "R8", 1),
    packed(fourcc('R', '1', '6', ' '), "R16", 2),
    packed(format::gr88, "GR88", 2),
    packed(fourcc('R', 'G', '8', '8'), "RG88", 2),
    packed(fourcc('G', 'R', '3', '2'), "GR1616", 4),
    yuv_packed(format::yuyv, "YUYV"),
    yuv_packed(fourcc('Y', 'V', 'Y', 'U'), "YVYU"),
    yuv_packed(fourcc('U', 'Y', 'V', 'Y'), "UYVY"),
    yuv_packed(fourcc('V', 'Y', 'U', 'Y'), "VYUY"),
    semi_planar(format::nv12, "NV12", 1, 2, 2),
    semi_planar(format::nv21, "NV21", 1, 2, 2),
    semi_planar(format::nv16, "NV16", 1, 2, 1),
    semi_planar(fourcc('N', 'V', '6', '1'), "NV61", 1, 2, 1),
    semi_planar(fourcc('N', 'V', '2', '4'), "NV24", 1, 1, 1),
    semi_planar(format::p010, "P010", 2, 2, 2),
    semi_planar(fourcc('P', '0', '1', '2'), "P012", 2, 2, 2),
    semi_planar(fourcc('P', '0', '1', '6'), "P016", 2, 2, 2),
    planar(format::yuv420, "YUV420", 2, 2),
    planar(format::yvu420, "YVU420", 2, 2),
    planar(format::yuv422, "YUV422", 2, 1),
    planar(fourcc('Y', 'V', '1', '6'), "YVU422", 2, 1),
    planar(format::yuv444, "YUV444", 1, 1),
    planar(fourcc('Y', 'V', '2', '4'), "YVU444", 1, 1),
};

} // namespace

std::span<const FormatInfo> known_formats() noexcept {
    return formats;
}

const FormatInfo* find_format(Fourcc code) noexcept {
    const auto at =
        std::find_if(formats.begin(), formats.end(), [&](const auto& f) { return f.code == code; });
    return at == formats.end() ? nullptr : &*at;
}

std::string fourcc_text(Fourcc code) {
    std::string text;
    for (int shift = 0; shift < 32; shift += 8) {
        const auto c = static_cast<unsigned char>(code >> shift);
        if (c < 0x20 || c > 0x7e) return fmt::format("{:#010x}", code);
        text.push_back(static_cast<char>(c));
    }
    return text;
}

std::string modifier_text(std::uint64_t value) {
    if (value == modifier::linear) return "linear";
    if (value == modifier::none) return "none";
    return fmt::format("{:#018x}", value);
}

} // namespace share
