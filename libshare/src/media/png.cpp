// SPDX-License-Identifier: MIT
// PNG by libpng. As in jpeg.cpp the library's longjmp crosses only frames of plain data: Steps.
// libpng unfilters a row in its own row buffer and hands it over from there; there is no frame of its own.
#include "codec.hpp"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <png.h>

#include "exif.hpp"

namespace share::media {

namespace {

constexpr std::size_t signature_bytes = 8;
constexpr png_alloc_size_t max_chunk = 64U << 20; // an uncompressed profile or text

/// Plain data: longjmp passes over it.
struct State {
    png_structp png;
    png_infop info;
    const unsigned char* data;
    std::size_t size, at;
    bool bad_profile;
    char message[192];
};

void keep(State& s, const char* message) noexcept {
    std::snprintf(s.message, sizeof s.message, "%s", message);
}

[[noreturn]] void fail(png_structp png, png_const_charp message) {
    keep(*static_cast<State*>(png_get_error_ptr(png)), message);
    png_longjmp(png, 1);
}

void warn(png_structp png, png_const_charp message) {
    const std::string_view text(message);
    if (text.starts_with("iCCP")) static_cast<State*>(png_get_error_ptr(png))->bad_profile = true;
    // libpng shows what it has where the stream's checksum is wrong or data are missing; we do not.
    const bool surplus = text.find("Extra") != text.npos || text.find("Too much") != text.npos;
    if (text.starts_with("IDAT") && !surplus) fail(png, message);
}

void feed(png_structp png, png_bytep to, std::size_t bytes) {
    State& s = *static_cast<State*>(png_get_io_ptr(png));
    if (bytes > s.size - s.at) fail(png, "the file ends early");
    std::memcpy(to, s.data + s.at, bytes);
    s.at += bytes;
}

using Step = void (*)(State&, void*);

bool guarded(State& s, Step step, void* argument) {
    if (setjmp(png_jmpbuf(s.png)) != 0) return false;
    step(s, argument);
    return true;
}

void read_header(State& s, void* argument) {
    const auto& limits = *static_cast<const ImageLimits*>(argument);
    // Ours are checked with better words; libpng's own limit of a million comes on top of them.
    png_set_user_limits(s.png, std::max(limits.max_dimension, 1'000'000U),
                        std::max(limits.max_dimension, 1'000'000U));
    png_set_chunk_malloc_max(s.png, max_chunk);
    png_set_read_fn(s.png, &s, feed);
    png_read_info(s.png, s.info);
}

bool has_alpha(const State& s) noexcept {
    return (png_get_color_type(s.png, s.info) & PNG_COLOR_MASK_ALPHA) != 0 ||
           png_get_valid(s.png, s.info, PNG_INFO_tRNS) != 0;
}

void to_four_bytes(State& s, Order order) {
    png_set_expand(s.png); // palette, fewer than 8 bits, tRNS
    png_set_scale_16(s.png);
    png_set_gray_to_rgb(s.png);
    if (order == Order::bgr) png_set_bgr(s.png);
    if (!has_alpha(s)) png_set_filler(s.png, 0xff, PNG_FILLER_AFTER);
}

void decode_rows(State& s, void* argument) {
    RowSink& sink = *static_cast<RowSink*>(argument);
    to_four_bytes(s, sink.order());
    const int passes = png_set_interlace_handling(s.png);
    png_read_update_info(s.png, s.info);
    if (png_get_rowbytes(s.png, s.info) != std::size_t{sink.width()} * 4)
        fail(s.png, "unexpected size of a row");
    for (int pass = 1; pass <= passes; ++pass)
        for (std::uint32_t y = 0; y < sink.height(); ++y) {
            png_read_row(s.png, reinterpret_cast<png_bytep>(sink.row(y)), nullptr);
            if (pass == passes) sink.finish(y);
        }
    png_read_end(s.png, nullptr);
}

/// One reader, from signature to end.
class Session {
public:
    explicit Session(std::span<const std::byte> bytes) {
        std::memset(&state_, 0, sizeof state_);
        state_.data = reinterpret_cast<const unsigned char*>(bytes.data());
        state_.size = bytes.size();
        state_.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state_, fail, warn);
        if (state_.png) state_.info = png_create_info_struct(state_.png);
        if (!state_.info) {
            png_destroy_read_struct(&state_.png, nullptr, nullptr);
            throw std::bad_alloc();
        }
    }
    ~Session() { png_destroy_read_struct(&state_.png, &state_.info, nullptr); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    Result<void> run(Step step, void* argument) {
        if (guarded(state_, step, argument)) return {};
        return make_error(Code::corrupt, {},
                          fmt::format("the PNG data are damaged or cut short: {}", state_.message));
    }
    State& state() noexcept { return state_; }

private:
    State state_;
};

std::uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = (value << 8) | std::to_integer<std::uint32_t>(bytes[at + i]);
    return value;
}

/// Before libpng: it stops before the pixels, and an eXIf chunk may come after them.
int orientation_of(std::span<const std::byte> bytes) {
    std::size_t at = signature_bytes;
    while (bytes.size() - at >= 12) {
        const std::uint32_t length = big_endian(bytes, at);
        if (length > bytes.size() - at - 12) break;
        if (std::memcmp(bytes.data() + at + 4, "eXIf", 4) == 0)
            return exif_orientation(bytes.subspan(at + 8, length));
        at += 12 + std::size_t{length};
    }
    return 1;
}

std::string description_of(const State& s) {
    std::string text = fmt::format("PNG, {} bit ", png_get_bit_depth(s.png, s.info));
    switch (png_get_color_type(s.png, s.info)) {
    case PNG_COLOR_TYPE_GRAY:
        text += "grey";
        break;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
        text += "grey with alpha";
        break;
    case PNG_COLOR_TYPE_PALETTE:
        text += "palette";
        break;
    case PNG_COLOR_TYPE_RGB_ALPHA:
        text += "RGB with alpha";
        break;
    default:
        text += "RGB";
        break;
    }
    if (png_get_valid(s.png, s.info, PNG_INFO_tRNS) != 0) text += " with transparency";
    if (png_get_interlace_type(s.png, s.info) != PNG_INTERLACE_NONE) text += ", interlaced";
    return text + " (each row passes through libpng's row buffer)";
}

std::span<const std::byte> profile_of(const State& s) noexcept {
    png_charp name = nullptr;
    png_bytep data = nullptr;
    png_uint_32 size = 0;
    int compression = 0;
    if (png_get_valid(s.png, s.info, PNG_INFO_sRGB) != 0) return {}; // says the same in fewer words
    if (png_get_iCCP(s.png, s.info, &name, &compression, &data, &size) == 0) return {};
    return {reinterpret_cast<const std::byte*>(data), size};
}

class PngCodec final : public Codec {
public:
    PngCodec(std::span<const std::byte> bytes, const ImageLimits& limits) : bytes_(bytes), limits_(limits) {}

    Result<void> open() {
        // The header by hand, so that limits are told in our words before libpng looks at it.
        if (bytes_.size() < signature_bytes + 25 || std::memcmp(bytes_.data() + 12, "IHDR", 4) != 0)
            return make_error(Code::corrupt, {}, "the PNG data are damaged or cut short: there is no header");
        if (auto fits = check_size(big_endian(bytes_, 16), big_endian(bytes_, 20), limits_); !fits)
            return fits;
        Session session(bytes_);
        if (auto done = session.run(read_header, &limits_); !done) return done;
        const State& s = session.state();
        header_.description = description_of(s);
        header_.width = png_get_image_width(s.png, s.info);
        header_.height = png_get_image_height(s.png, s.info);
        header_.alpha = has_alpha(s);
        const int type = png_get_color_type(s.png, s.info);
        header_.channels = (type & PNG_COLOR_MASK_COLOR) != 0 ? Channels::rgb : Channels::gray;
        header_.rows_in_order = png_get_interlace_type(s.png, s.info) == PNG_INTERLACE_NONE;
        header_.orientation = orientation_of(bytes_);
        const auto profile = profile_of(s);
        header_.profile.assign(profile.begin(), profile.end());
        if (s.bad_profile && profile.empty()) header_.note = "damaged ICC profile ignored";
        return {};
    }

    const Header& header() const noexcept override { return header_; }

    Result<void> decode(RowSink& sink) override {
        Session session(bytes_);
        if (auto done = session.run(read_header, &limits_); !done) return done;
        return session.run(decode_rows, &sink);
    }

private:
    std::span<const std::byte> bytes_;
    ImageLimits limits_;
    Header header_;
};

} // namespace

Result<std::unique_ptr<Codec>> open_png(std::span<const std::byte> bytes, const ImageLimits& limits) {
    auto codec = std::make_unique<PngCodec>(bytes, limits);
    if (auto opened = codec->open(); !opened) return std::move(opened).error();
    return std::unique_ptr<Codec>(std::move(codec));
}

} // namespace share::media
