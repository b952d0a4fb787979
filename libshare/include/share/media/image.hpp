// SPDX-License-Identifier: MIT
// Still images as a Source: JPEG, PNG and WebP decoded straight into the write Mapping of a shared Buffer.
//
// There is no intermediate frame: the codec's rows land in the mapped memory and are finished there, in
// place: an embedded profile becomes sRGB, alpha is premultiplied, CMYK becomes RGB. The Exif orientation is
// applied: upside down and mirrored pictures by where rows land and a reversal in place, quarter turns
// through a strip of rows that is scattered into the mapping. Two kinds of file need a private frame for a
// quarter turn, because their rows do not come in order: interlaced PNG, and WebP. The step "decode" in the
// FrameRecord tells it: bytes_converted counts what was rewritten in another form or order, bytes_copied is 0
// unless there was a private frame.
//
// The kind of file is told by its first bytes, never by its name. What is shown of an animation is its first
// frame. A picture without a profile is taken as sRGB (PNG's gAMA and cHRM are not applied).
// The compressed file is read into memory once, when opened: a file that is replaced or truncated later
// changes nothing, and no fd stays open. Thread: one Source belongs to one thread; different ones are
// independent. Units: pixels and bytes. Sources: ITU T.81, Exif 2.32, W3C PNG, RFC 9649, ICC.1.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <share/api.hpp>
#include <share/result.hpp>
#include <share/swapchain.hpp>

namespace share::media {

/// What a file may cost, checked before anything is allocated for it.
struct ImageLimits {
    std::uint32_t max_dimension = 65535;             ///< of a side
    std::uint64_t max_pixels = 512ULL << 20;         ///< 2 GiB as XRGB8888
    std::uint64_t max_file_bytes = 512ULL << 20;     ///< of the compressed file
    std::uint64_t max_private_bytes = 1024ULL << 20; ///< that a codec may use beside the buffer
};

struct OpenOptions {
    ImageLimits limits;
};

/// Opens a picture and reads its header. The Source may be read any number of times; each read decodes anew.
/// info().formats: XRGB8888, XBGR8888, ARGB8888, ABGR8888 for an opaque picture (the fourth byte is 0xff),
/// ARGB8888, ABGR8888 (premultiplied) for one with alpha.
/// Errors: unavailable, denied (no such file, no permission), invalid_argument (not a regular file, empty),
/// unsupported (another kind of file, or a feature of it that is not read), limit (too large), corrupt.
/// read() fails with corrupt for data that is damaged or cut short: no half picture is ever shown.
SHARE_API Result<std::unique_ptr<Source>> open_image(const std::string& path,
                                                     const OpenOptions& options = {});

/// As above, of bytes that are already here; they are copied. `name` is for errors and info().
SHARE_API Result<std::unique_ptr<Source>>
open_image(std::span<const std::byte> bytes, const std::string& name, const OpenOptions& options = {});

} // namespace share::media
