// SPDX-License-Identifier: MIT
// Pictures in files, read with libpng and by hand, never with the code under test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace testing {

struct Rgb {
    std::uint8_t r = 0, g = 0, b = 0;
    friend bool operator==(const Rgb&, const Rgb&) = default;
};

struct Picture {
    int width = 0, height = 0;
    std::vector<Rgb> pixels;
    const Rgb& at(int x, int y) const {
        return pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                      static_cast<std::size_t>(x)];
    }
};

/// Nothing when the file is not there, unfinished or no PNG.
std::optional<Picture> load_png(const std::string& path);
/// Binary PPM (P6) or PGM (P5), 8 bit: what djpeg, dwebp and ImageMagick write.
std::optional<Picture> load_ppm(const std::string& path);

struct Difference {
    int largest = 256;    ///< of any channel; 256 when sizes differ
    double average = 256; ///< over all channels
};
/// Of `part`, at (x, y) of `whole`, to `expected`.
Difference difference_at(const Picture& whole, int x, int y, const Picture& expected);

} // namespace testing
