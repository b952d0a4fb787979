// SPDX-License-Identifier: MIT
// Pictures for the tests of libshare-media: painted here, encoded by the codecs' own libraries, and read
// back through a shared Buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <share/media/image.hpp>
#include <share/share.hpp>

namespace pictures {

using Bytes = std::vector<std::byte>;

struct Pixel {
    std::uint8_t r = 0, g = 0, b = 0, a = 255;
    friend bool operator==(const Pixel&, const Pixel&) = default;
};

struct Picture {
    std::uint32_t width = 0, height = 0;
    std::vector<Pixel> pixels;
    Pixel& at(std::uint32_t x, std::uint32_t y) { return pixels[std::size_t{y} * width + x]; }
    const Pixel& at(std::uint32_t x, std::uint32_t y) const { return pixels[std::size_t{y} * width + x]; }
};

/// No two rows, columns or corners alike.
Picture painted(std::uint32_t width, std::uint32_t height, bool alpha = false);
Picture premultiplied(Picture picture);
Picture gray_of(Picture picture);
/// As Exif 2.32 words it: where row 0 and column 0 of the stored picture are when it is shown.
Picture shown(const Picture& stored, int orientation);
/// The largest difference of any channel; 256 when sizes differ.
int difference(const Picture& a, const Picture& b);

struct JpegOptions {
    int components = 3;   ///< 1 grey, 3 RGB input, 4 CMYK input
    int color_space = -1; ///< of the file (J_COLOR_SPACE); -1: the usual
    int h = 2, v = 2;     ///< sampling of the first component
    bool progressive = false, arithmetic = false;
    int restart_interval = 0;
    int quality = 90;
    int orientation = 0; ///< 0: no Exif
    bool big_endian_exif = false;
    Bytes profile;
    bool adobe_marker = true;
};
Bytes jpeg(const Picture& picture, const JpegOptions& options = {});
/// What libjpeg itself gives for it, as RGB.
Picture plain_jpeg(const Bytes& bytes);

struct PngOptions {
    int color_type = 2, bit_depth = 8;
    bool interlaced = false;
    int orientation = 0;
    bool exif_after_pixels = false;
    bool transparent_color = false; ///< tRNS: the first pixel's colour (grey, RGB); palette: alpha of entries
    Bytes profile;
};
/// Palette pictures take the colours found (at most 256); grey ones the red channel.
Bytes png(const Picture& picture, const PngOptions& options = {});

Bytes webp(const Picture& picture, bool lossless, int orientation = 0, const Bytes& profile = {});
/// Two frames; the first covers only part of the canvas.
Bytes animated_webp(const Picture& first, std::uint32_t width, std::uint32_t height);

/// A matrix profile: sRGB's curve with red and green exchanged, so that its effect is plain to see; or sRGB.
Bytes swapped_profile();
Bytes srgb_profile();
Bytes gray_profile(double gamma);

/// TIFF header with an orientation.
Bytes exif(int orientation, bool big_endian = false);

struct Shown {
    share::SourceInfo info;
    Picture picture;
    share::Step step;
    bool padding_kept = true; ///< no byte outside of rows was written
};
/// Opens, decodes into a memfd buffer, and reads the pixels from it.
share::Result<Shown> show(const Bytes& bytes, share::Fourcc format = 0,
                          const share::media::OpenOptions& options = {});
share::Result<Shown> show(share::Source& source, share::Fourcc format = 0);

void save(const std::string& path, const Bytes& bytes);
Bytes load(const std::string& path);

} // namespace pictures
