// SPDX-License-Identifier: MIT
// Pixel formats as DRM fourcc codes, and what Layout must know of each. Source: the kernel's drm_fourcc.h.
// Formats are little-endian as there; wl_shm's codes are the same but for XRGB8888 (1) and ARGB8888 (0).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <share/api.hpp>

namespace share {

using Fourcc = std::uint32_t;

constexpr Fourcc fourcc(char a, char b, char c, char d) noexcept {
    return static_cast<Fourcc>(static_cast<unsigned char>(a)) |
           (static_cast<Fourcc>(static_cast<unsigned char>(b)) << 8) |
           (static_cast<Fourcc>(static_cast<unsigned char>(c)) << 16) |
           (static_cast<Fourcc>(static_cast<unsigned char>(d)) << 24);
}

namespace format {
inline constexpr Fourcc xrgb8888 = fourcc('X', 'R', '2', '4');
inline constexpr Fourcc argb8888 = fourcc('A', 'R', '2', '4'); ///< premultiplied on every display path
inline constexpr Fourcc xbgr8888 = fourcc('X', 'B', '2', '4');
inline constexpr Fourcc abgr8888 = fourcc('A', 'B', '2', '4');
inline constexpr Fourcc rgb565 = fourcc('R', 'G', '1', '6');
inline constexpr Fourcc xrgb2101010 = fourcc('X', 'R', '3', '0');
inline constexpr Fourcc argb2101010 = fourcc('A', 'R', '3', '0');
inline constexpr Fourcc xbgr2101010 = fourcc('X', 'B', '3', '0');
inline constexpr Fourcc abgr2101010 = fourcc('A', 'B', '3', '0');
inline constexpr Fourcc rgb888 = fourcc('R', 'G', '2', '4');
inline constexpr Fourcc bgr888 = fourcc('B', 'G', '2', '4');
inline constexpr Fourcc r8 = fourcc('R', '8', ' ', ' ');
inline constexpr Fourcc gr88 = fourcc('G', 'R', '8', '8');
inline constexpr Fourcc yuyv = fourcc('Y', 'U', 'Y', 'V');
inline constexpr Fourcc nv12 = fourcc('N', 'V', '1', '2');
inline constexpr Fourcc nv21 = fourcc('N', 'V', '2', '1');
inline constexpr Fourcc nv16 = fourcc('N', 'V', '1', '6');
inline constexpr Fourcc p010 = fourcc('P', '0', '1', '0');
inline constexpr Fourcc yuv420 = fourcc('Y', 'U', '1', '2');
inline constexpr Fourcc yvu420 = fourcc('Y', 'V', '1', '2');
inline constexpr Fourcc yuv422 = fourcc('Y', 'U', '1', '6');
inline constexpr Fourcc yuv444 = fourcc('Y', 'U', '2', '4');
} // namespace format

namespace modifier {
inline constexpr std::uint64_t linear = 0;
/// DRM_FORMAT_MOD_INVALID: "no modifier", the driver's implicit layout.
inline constexpr std::uint64_t none = 0x00ff'ffff'ffff'ffffULL;
} // namespace modifier

/// What buffers are offered, advertised and probed by.
struct FormatModifier {
    Fourcc format = 0;
    std::uint64_t modifier = modifier::none; ///< none: the driver's implicit layout
    friend auto operator<=>(const FormatModifier&, const FormatModifier&) = default;
};

inline constexpr std::size_t max_planes = 4;

struct FormatPlane {
    std::uint8_t block_bytes = 0; ///< bytes of one block
    std::uint8_t block_width = 1; ///< samples side by side in one block (2 for YUYV)
    std::uint8_t hsub = 1;        ///< horizontal subsampling: plane width = ceil(width / hsub)
    std::uint8_t vsub = 1;        ///< vertical subsampling
};

struct FormatInfo {
    Fourcc code = 0;
    std::string_view name; ///< as in drm_fourcc.h, without DRM_FORMAT_: "XRGB8888"
    std::uint8_t plane_count = 0;
    bool alpha = false;
    bool yuv = false;
    std::array<FormatPlane, max_planes> planes{};
};

/// Every format that Layout knows.
SHARE_API std::span<const FormatInfo> known_formats() noexcept;
/// nullptr when unknown.
SHARE_API const FormatInfo* find_format(Fourcc code) noexcept;
/// "XR24" for a printable code, hexadecimal otherwise.
SHARE_API std::string fourcc_text(Fourcc code);
/// "linear", "none" or hexadecimal.
SHARE_API std::string modifier_text(std::uint64_t modifier);

} // namespace share
