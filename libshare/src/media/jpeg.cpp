// SPDX-License-Identifier: MIT
// JPEG by libjpeg-turbo. Its error handler longjmps: every call of the library stands in a Step, a function
// whose frame holds nothing that needs a destructor, run by guarded(), whose frame holds nothing at all.
#include "codec.hpp"

#include <csetjmp>
#include <cstdio> // jpeglib.h wants size_t and FILE
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "exif.hpp"

namespace share::media {

namespace {

constexpr int exif_marker = JPEG_APP0 + 1;
constexpr int icc_marker = JPEG_APP0 + 2;
constexpr int max_scans = 200; // encoders write about ten; more only make a small file slow to decode
constexpr std::uint32_t max_run = 16;

/// Plain data: longjmp passes over it.
struct State {
    jpeg_decompress_struct cinfo;
    jpeg_error_mgr errors;
    jpeg_progress_mgr progress;
    std::jmp_buf jump;
    const unsigned char* data;
    unsigned long size;
    unsigned long max_private_bytes;
    JOCTET* profile; ///< malloc'ed by the library
    unsigned profile_size;
    bool bad_profile, extraneous;
    int code; ///< of the error
    char message[JMSG_LENGTH_MAX];
};

State& state_of(j_common_ptr cinfo) noexcept {
    return *static_cast<State*>(cinfo->client_data);
}

[[noreturn]] void fail(j_common_ptr cinfo) {
    State& s = state_of(cinfo);
    s.code = cinfo->err->msg_code;
    cinfo->err->format_message(cinfo, s.message);
    std::longjmp(s.jump, 1);
}

void hear(j_common_ptr cinfo, int level) {
    if (level >= 0) return; // a trace
    switch (cinfo->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_JPEG_EOF:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        fail(cinfo); // pixels are missing: no half picture
    case JWRN_BOGUS_ICC:
        state_of(cinfo).bad_profile = true;
        break;
    case JWRN_EXTRANEOUS_DATA:
        state_of(cinfo).extraneous = true;
        break;
    default:
        break;
    }
}

void count_scans(j_common_ptr cinfo) {
    State& s = state_of(cinfo);
    if (s.cinfo.input_scan_number <= max_scans) return;
    s.code = JERR_NOTIMPL;
    std::snprintf(s.message, sizeof s.message, "more than %d scans", max_scans);
    std::longjmp(s.jump, 1);
}

using Step = void (*)(State&, void*);

bool guarded(State& s, Step step, void* argument) {
    if (setjmp(s.jump) != 0) return false;
    step(s, argument);
    return true;
}

void start(State& s, void*) {
    s.cinfo.err = jpeg_std_error(&s.errors);
    s.errors.error_exit = fail;
    s.errors.emit_message = hear;
    s.errors.output_message = [](j_common_ptr) {};
    s.cinfo.client_data = &s;
    jpeg_create_decompress(&s.cinfo);
    s.progress.progress_monitor = count_scans;
    s.cinfo.progress = &s.progress;
    s.cinfo.mem->max_memory_to_use = static_cast<long>(s.max_private_bytes);
    jpeg_mem_src(&s.cinfo, s.data, s.size);
}

void read_header(State& s, void*) {
    jpeg_save_markers(&s.cinfo, exif_marker, 0xffff);
    jpeg_save_markers(&s.cinfo, icc_marker, 0xffff);
    jpeg_read_header(&s.cinfo, TRUE);
    jpeg_read_icc_profile(&s.cinfo, &s.profile, &s.profile_size);
}

void decode_rows(State& s, void* argument) {
    RowSink& sink = *static_cast<RowSink*>(argument);
    jpeg_decompress_struct& cinfo = s.cinfo;
    jpeg_read_header(&cinfo, TRUE);
    if (cinfo.num_components == 4)
        cinfo.out_color_space = JCS_CMYK; // four bytes as well: they become RGB in place
    else
        cinfo.out_color_space = sink.order() == Order::bgr ? JCS_EXT_BGRX : JCS_EXT_RGBX; // the X is 0xff
    jpeg_start_decompress(&cinfo);
    while (cinfo.output_scanline < cinfo.output_height) {
        const std::uint32_t y = cinfo.output_scanline;
        JSAMPROW rows[max_run];
        const std::uint32_t run = sink.run(y, max_run);
        for (std::uint32_t i = 0; i < run; ++i)
            rows[i] = reinterpret_cast<JSAMPROW>(sink.row(y + i));
        const std::uint32_t got = jpeg_read_scanlines(&cinfo, rows, run);
        for (std::uint32_t i = 0; i < got; ++i)
            sink.finish(y + i);
    }
    jpeg_finish_decompress(&cinfo); // reads to the end marker: a picture without one is cut short
}

/// One decompressor, from header to end.
class Session {
public:
    Session(std::span<const std::byte> bytes, const ImageLimits& limits) {
        std::memset(&state_, 0, sizeof state_);
        state_.data = reinterpret_cast<const unsigned char*>(bytes.data());
        state_.size = bytes.size();
        state_.max_private_bytes = limits.max_private_bytes;
    }
    ~Session() {
        jpeg_destroy_decompress(&state_.cinfo);
        std::free(state_.profile);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    Result<void> run(Step step, void* argument = nullptr) {
        if (guarded(state_, start, nullptr) && guarded(state_, step, argument)) return {};
        return error();
    }
    State& state() noexcept { return state_; }

private:
    Error error() const {
        switch (state_.code) {
        case JERR_OUT_OF_MEMORY:
        case JERR_NO_BACKING_STORE:
            return make_error(Code::limit, {},
                              fmt::format("decoding this JPEG needs more than {} bytes of private memory",
                                          state_.max_private_bytes));
        case JERR_BAD_PRECISION:
        case JERR_SOF_UNSUPPORTED:
        case JERR_ARITH_NOTIMPL:
        case JERR_CCIR601_NOTIMPL:
        case JERR_CONVERSION_NOTIMPL:
        case JERR_FRACT_SAMPLE_NOTIMPL:
        case JERR_NOTIMPL:
            return make_error(Code::unsupported, {},
                              fmt::format("a kind of JPEG that is not read: {}", state_.message));
        default:
            return make_error(Code::corrupt, {},
                              fmt::format("the JPEG data are damaged or cut short: {}", state_.message));
        }
    }
    State state_;
};

std::string sampling_of(const jpeg_decompress_struct& cinfo) {
    const auto& c = cinfo.comp_info;
    const bool plain = c[1].h_samp_factor == 1 && c[1].v_samp_factor == 1 && c[2].h_samp_factor == 1 &&
                       c[2].v_samp_factor == 1;
    const int h = c[0].h_samp_factor, v = c[0].v_samp_factor;
    if (plain && h == 1 && v == 1) return " 4:4:4";
    if (plain && h == 2 && v == 1) return " 4:2:2";
    if (plain && h == 2 && v == 2) return " 4:2:0";
    if (plain && h == 1 && v == 2) return " 4:4:0";
    if (plain && h == 4 && v == 1) return " 4:1:1";
    return fmt::format(" {}x{},{}x{},{}x{}", h, v, c[1].h_samp_factor, c[1].v_samp_factor, c[2].h_samp_factor,
                       c[2].v_samp_factor);
}

std::string description_of(const jpeg_decompress_struct& cinfo) {
    std::string text = "JPEG, ";
    switch (cinfo.jpeg_color_space) {
    case JCS_GRAYSCALE:
        text += "grey";
        break;
    case JCS_RGB:
        text += "RGB";
        break;
    case JCS_YCbCr:
        text += "YCbCr" + sampling_of(cinfo);
        break;
    case JCS_CMYK:
        text += "CMYK";
        break;
    case JCS_YCCK:
        text += "YCCK";
        break;
    default:
        text += fmt::format("{} components", cinfo.num_components);
        break;
    }
    if (cinfo.progressive_mode) text += ", progressive";
    if (cinfo.arith_code) text += ", arithmetic";
    return text;
}

/// The library counts this memory itself and refuses beyond the limit; here it is told before decoding.
std::uint64_t coefficient_bytes(const jpeg_decompress_struct& cinfo) {
    if (!cinfo.progressive_mode && cinfo.comps_in_scan == cinfo.num_components) return 0;
    std::uint64_t blocks = 0;
    for (int i = 0; i < cinfo.num_components; ++i)
        blocks += std::uint64_t{cinfo.comp_info[i].width_in_blocks} * cinfo.comp_info[i].height_in_blocks;
    return blocks * sizeof(JBLOCK);
}

int orientation_of(const jpeg_decompress_struct& cinfo) {
    for (jpeg_saved_marker_ptr m = cinfo.marker_list; m; m = m->next) {
        const std::span data(reinterpret_cast<const std::byte*>(m->data), m->data_length);
        if (m->marker == exif_marker && data.size() > 6 && std::memcmp(data.data(), "Exif\0", 6) == 0)
            return exif_orientation(data);
    }
    return 1;
}

class JpegCodec final : public Codec {
public:
    JpegCodec(std::span<const std::byte> bytes, const ImageLimits& limits) : bytes_(bytes), limits_(limits) {}

    Result<void> open() {
        Session session(bytes_, limits_);
        if (auto done = session.run(read_header); !done) return std::move(done).error();
        const State& s = session.state();
        const jpeg_decompress_struct& cinfo = s.cinfo;
        if (auto fits = check_size(cinfo.image_width, cinfo.image_height, limits_); !fits) return fits;
        if (cinfo.jpeg_color_space == JCS_UNKNOWN)
            return make_error(
                Code::unsupported, {},
                fmt::format("a JPEG of {} components whose colours are not known", cinfo.num_components));
        header_.description = description_of(cinfo);
        header_.width = cinfo.image_width;
        header_.height = cinfo.image_height;
        header_.channels = cinfo.num_components == 1   ? Channels::gray
                           : cinfo.num_components != 4 ? Channels::rgb
                           : cinfo.saw_Adobe_marker    ? Channels::cmyk_inverted
                                                       : Channels::cmyk;
        header_.orientation = orientation_of(cinfo);
        header_.private_bytes = coefficient_bytes(cinfo);
        if (s.profile) {
            const auto* at = reinterpret_cast<const std::byte*>(s.profile);
            header_.profile.assign(at, at + s.profile_size);
        }
        if (s.bad_profile) header_.note = "damaged ICC profile ignored";
        return {};
    }

    const Header& header() const noexcept override { return header_; }

    Result<void> decode(RowSink& sink) override {
        Session session(bytes_, limits_);
        if (auto done = session.run(decode_rows, &sink); !done) return done;
        if (session.state().extraneous && header_.note.empty())
            header_.note = "bytes between segments skipped";
        return {};
    }

private:
    std::span<const std::byte> bytes_;
    ImageLimits limits_;
    Header header_;
};

} // namespace

Result<std::unique_ptr<Codec>> open_jpeg(std::span<const std::byte> bytes, const ImageLimits& limits) {
    auto codec = std::make_unique<JpegCodec>(bytes, limits);
    if (auto opened = codec->open(); !opened) return std::move(opened).error();
    return std::unique_ptr<Codec>(std::move(codec));
}

} // namespace share::media
