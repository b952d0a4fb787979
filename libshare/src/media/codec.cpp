// SPDX-License-Identifier: MIT
#include "codec.hpp"

#include <array>
#include <string_view>

#include <fmt/format.h>

namespace share::media {

namespace {

using namespace std::string_view_literals;

struct Kind {
    std::size_t at;
    std::string_view magic;
    Result<std::unique_ptr<Codec>> (*open)(std::span<const std::byte>,
                                           const ImageLimits&); ///< null: not read
    std::string_view name;
};

constexpr std::array kinds = {
    Kind{0, "\xff\xd8\xff"sv, open_jpeg, "JPEG"},
    Kind{0, "\x89PNG\r\n\x1a\n"sv, open_png, "PNG"},
    Kind{8, "WEBP"sv, open_webp, "WebP"},
    Kind{0, "GIF8"sv, nullptr, "a GIF picture"},
    Kind{0, "BM"sv, nullptr, "a BMP picture"},
    Kind{0, "II*\0"sv, nullptr, "a TIFF picture"},
    Kind{0, "MM\0*"sv, nullptr, "a TIFF picture"},
    Kind{4, "ftypavi"sv, nullptr, "an AVIF picture"},
    Kind{4, "ftyphei"sv, nullptr, "a HEIF picture"},
    Kind{4, "ftypmif1"sv, nullptr, "a HEIF picture"},
    Kind{4, "ftyp"sv, nullptr, "an MP4 or QuickTime film"},
    Kind{0, "\xff\x0a"sv, nullptr, "a JPEG XL picture"},
    Kind{4, "JXL "sv, nullptr, "a JPEG XL picture"},
    Kind{4, "jP  "sv, nullptr, "a JPEG 2000 picture"},
    Kind{0, "qoif"sv, nullptr, "a QOI picture"},
    Kind{0, "P5"sv, nullptr, "a PGM picture"},
    Kind{0, "P6"sv, nullptr, "a PPM picture"},
    Kind{0, "gimp xcf"sv, nullptr, "a GIMP picture"},
    Kind{0, "8BPS"sv, nullptr, "a Photoshop picture"},
    Kind{0, "\x8aMNG"sv, nullptr, "an MNG animation"},
    Kind{0, "%PDF"sv, nullptr, "a PDF document"},
    Kind{0, "<svg"sv, nullptr, "an SVG drawing"},
    Kind{0, "<?xml"sv, nullptr, "an XML document, maybe SVG"},
    Kind{0, "<!DOCTYPE"sv, nullptr, "an HTML page, not a picture"},
    Kind{0, "<html"sv, nullptr, "an HTML page, not a picture"},
    Kind{0, "\x1a\x45\xdf\xa3"sv, nullptr, "a Matroska or WebM film"},
    Kind{0, "RIFF"sv, nullptr, "a RIFF file (AVI or WAV)"},
    Kind{0, "\x1f\x8b"sv, nullptr, "compressed by gzip"},
    Kind{0, "PK\3\4"sv, nullptr, "a ZIP archive"},
    Kind{0,
         "\x7f"
         "ELF"sv,
         nullptr, "a program"},
};

bool matches(std::string_view text, const Kind& kind) noexcept {
    if (text.size() < kind.at + kind.magic.size() || text.substr(kind.at, kind.magic.size()) != kind.magic)
        return false;
    return kind.open != open_webp || text.starts_with("RIFF");
}

std::string first_bytes(std::string_view text) {
    std::string hex;
    for (const char c : text.substr(0, 8))
        hex += fmt::format("{}{:02x}", hex.empty() ? "" : " ", static_cast<unsigned char>(c));
    return hex;
}

} // namespace

Result<std::unique_ptr<Codec>> open_codec(std::span<const std::byte> bytes, const ImageLimits& limits) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (const Kind& kind : kinds) {
        if (!matches(text, kind)) continue;
        if (kind.open) return kind.open(bytes, limits);
        return make_error(Code::unsupported, {},
                          fmt::format("it is {}; JPEG, PNG and WebP are read", kind.name));
    }
    return make_error(
        Code::unsupported, {},
        fmt::format("not a picture that is known here (it begins with {}); JPEG, PNG and WebP are read",
                    first_bytes(text)));
}

Result<void> check_size(std::uint64_t width, std::uint64_t height, const ImageLimits& limits) {
    if (width == 0 || height == 0)
        return make_error(Code::corrupt, {}, fmt::format("it says that it is {}x{} pixels", width, height));
    if (width > limits.max_dimension || height > limits.max_dimension)
        return make_error(Code::limit, {},
                          fmt::format("it is {}x{} pixels and the limit of a side is {}", width, height,
                                      limits.max_dimension));
    if (width * height > limits.max_pixels) // both are below 2^32
        return make_error(Code::limit, {},
                          fmt::format("it has {}x{} = {} pixels and the limit is {}", width, height,
                                      width * height, limits.max_pixels));
    return {};
}

} // namespace share::media
