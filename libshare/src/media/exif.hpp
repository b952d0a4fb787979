// SPDX-License-Identifier: MIT
// The one thing that Exif data tell a viewer: which way up. A reader of our own, because libexif parses
// everything else in there as well (maker notes, thumbnails), which is a large surface for one small number.
// Source: Exif 2.32, 4.6.2 (IFD structure), tag 0x0112; TIFF 6.0.
#pragma once

#include <cstddef>
#include <span>

namespace share::media {

/// 1 to 8; 1 when there is none or it makes no sense. `data` starts at the TIFF header ("II*" or "MM*"), or
/// at the "Exif\0\0" that JPEG (and some writers of WebP) put before it.
int exif_orientation(std::span<const std::byte> data) noexcept;

} // namespace share::media
