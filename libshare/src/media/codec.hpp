// SPDX-License-Identifier: MIT
// Codec: what image.cpp wants of a decoder. One per file format; each in its own file, listed in codec.cpp.
// Errors of codecs leave `operation` empty: image.cpp says which file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <share/media/image.hpp>

#include "color.hpp"
#include "row_sink.hpp"

namespace share::media {

struct Header {
    std::string description;             ///< for the ledger: "JPEG, YCbCr 4:2:0, progressive"
    std::uint32_t width = 0, height = 0; ///< as stored
    Channels channels = Channels::rgb;
    bool alpha = false;
    bool rows_in_order = true;       ///< false: finish() comes only when all rows are there
    int orientation = 1;             ///< Exif's
    std::uint64_t private_bytes = 0; ///< that the codec will need beside rows, as far as it is known
    std::vector<std::byte> profile;  ///< ICC
    std::string note;                ///< what a person should know: "damaged profile ignored"
};

class Codec {
public:
    virtual ~Codec() = default;
    virtual const Header& header() const noexcept = 0;
    /// Decodes all rows into the sink. May be called again.
    virtual Result<void> decode(RowSink& sink) = 0;
};

/// Each checks the header and nothing more. `bytes` outlive the codec.
Result<std::unique_ptr<Codec>> open_jpeg(std::span<const std::byte> bytes, const ImageLimits& limits);
Result<std::unique_ptr<Codec>> open_png(std::span<const std::byte> bytes, const ImageLimits& limits);
Result<std::unique_ptr<Codec>> open_webp(std::span<const std::byte> bytes, const ImageLimits& limits);

/// The codec for these bytes, by their first ones. Errors: unsupported, saying what they are if that is
/// known.
Result<std::unique_ptr<Codec>> open_codec(std::span<const std::byte> bytes, const ImageLimits& limits);

/// Width and height against the limits.
Result<void> check_size(std::uint64_t width, std::uint64_t height, const ImageLimits& limits);

} // namespace share::media
