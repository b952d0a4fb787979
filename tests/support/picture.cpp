// SPDX-License-Identifier: MIT
#include "picture.hpp"

#include <png.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace testing {

std::optional<Picture> load_png(const std::string& path) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_file(&image, path.c_str()) == 0) return std::nullopt;
    image.format = PNG_FORMAT_RGB;
    Picture picture{static_cast<int>(image.width), static_cast<int>(image.height), {}};
    picture.pixels.resize(std::size_t{image.width} * image.height);
    if (png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr) == 0) return std::nullopt;
    return picture;
}

std::optional<Picture> load_ppm(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string magic;
    int depth = 0;
    Picture picture;
    const auto number = [&](int& value) {
        in >> std::ws;
        while (in.peek() == '#')
            in.ignore(1 << 20, '\n') >> std::ws;
        in >> value;
    };
    in >> magic;
    number(picture.width);
    number(picture.height);
    number(depth);
    in.get();
    const std::size_t channels = magic == "P6" ? 3 : 1;
    if (!in || (magic != "P6" && magic != "P5") || depth != 255 || picture.width <= 0 || picture.height <= 0)
        return std::nullopt;
    const std::size_t count =
        static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.height);
    std::vector<char> bytes(count * channels);
    if (!in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) return std::nullopt;
    picture.pixels.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto value = [&](std::size_t c) {
            return static_cast<std::uint8_t>(bytes[i * channels + (channels == 3 ? c : 0)]);
        };
        picture.pixels[i] = {value(0), value(1), value(2)};
    }
    return picture;
}

Difference difference_at(const Picture& whole, int x, int y, const Picture& expected) {
    if (x < 0 || y < 0 || x + expected.width > whole.width || y + expected.height > whole.height ||
        expected.pixels.empty())
        return {};
    Difference result{0, 0};
    double sum = 0;
    for (int row = 0; row < expected.height; ++row) {
        for (int column = 0; column < expected.width; ++column) {
            const Rgb& a = whole.at(x + column, y + row);
            const Rgb& b = expected.at(column, row);
            for (const int d : {std::abs(a.r - b.r), std::abs(a.g - b.g), std::abs(a.b - b.b)}) {
                result.largest = std::max(result.largest, d);
                sum += d;
            }
        }
    }
    result.average = sum / (3.0 * static_cast<double>(expected.pixels.size()));
    return result;
}

} // namespace testing
