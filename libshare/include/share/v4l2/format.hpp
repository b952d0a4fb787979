// SPDX-License-Identifier: MIT
// V4L2's pixel formats, their DRM names, and what a driver's answer to a format request is worth.
//
// V4L2 and DRM both use four letters and mean different things by them: V4L2 names bytes in memory, DRM a
// little-endian word. A V4L2 format also says in how many memories the planes lie: "NV12" has both in one,
// "NM12" each in its own dma-buf. Nothing a driver answers is believed before Layout's arithmetic agrees.
// Thread: plain values. Units: pixels, bytes. Errors: invalid_argument (the answer does not fit),
// unsupported. Source: videodev2.h, userspace-api/media/v4l/pixfmt.html, drm_fourcc.h.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <share/api.hpp>
#include <share/layout.hpp>

namespace share::v4l2 {

/// One of V4L2's four-letter codes: another set than share::Fourcc.
using PixelCode = std::uint32_t;

struct FormatPair {
    PixelCode code = 0;        ///< V4L2
    Fourcc format = 0;         ///< the same pixels as DRM names them
    std::uint8_t memories = 1; ///< dma-bufs that one image needs
    bool deprecated = false;   ///< V4L2 leaves the fourth byte undefined; found, never chosen first
};

/// Every pair that this library knows; for one DRM format the preferred code comes first.
SHARE_API std::span<const FormatPair> format_pairs() noexcept;
/// nullptr for compressed formats and those that DRM has no name for.
SHARE_API const FormatPair* find_pair(PixelCode code) noexcept;
/// V4L2's codes for a DRM format, best first.
SHARE_API std::vector<PixelCode> codes_of(Fourcc format);

inline constexpr std::size_t max_memories = 8; ///< VIDEO_MAX_PLANES

/// What a driver says of one queue. Anything may be in it.
struct Answer {
    PixelCode code = 0;
    std::uint32_t width = 0, height = 0;
    std::uint32_t field = 1; ///< enum v4l2_field; 1: progressive
    std::uint32_t memories = 1;
    struct Memory {
        std::uint32_t stride = 0; ///< bytesperline
        std::uint32_t size = 0;   ///< sizeimage
    };
    std::array<Memory, max_memories> memory{};
};

/// An answer that was checked.
struct StreamFormat {
    PixelCode code = 0;
    std::uint32_t width = 0, height = 0;
    std::optional<Layout> layout;     ///< nothing for compressed formats: those are bytes
    std::vector<std::uint64_t> sizes; ///< least bytes of each memory
    bool compressed() const noexcept { return !layout.has_value(); }
};

/// Errors: invalid_argument (too small a size or stride for its pixels, overflow, absurd dimensions, a wrong
/// number of memories), unsupported (interlaced). A code that is no pair counts as compressed.
SHARE_API Result<StreamFormat> check_answer(const Answer& answer);

/// The Layout of a buffer of such a stream: the picture's, or bytes (R8, rows of 4096) when compressed.
SHARE_API Result<Layout> buffer_layout(const StreamFormat& format);

} // namespace share::v4l2
