// SPDX-License-Identifier: MIT
// WebP by libwebp, into external memory: rows are converted into it as they are decoded. A lossless picture
// is a chain of references into itself, so libwebp keeps one frame of its own for it.
#include "codec.hpp"

#include <cstring>

#include <fmt/format.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "exif.hpp"

namespace share::media {

namespace {

struct DemuxCloser {
    void operator()(WebPDemuxer* demux) const noexcept { WebPDemuxDelete(demux); }
};
using Demux = std::unique_ptr<WebPDemuxer, DemuxCloser>;

std::span<const std::byte> chunk(const WebPDemuxer* demux, const char* name) {
    WebPChunkIterator found{};
    if (!WebPDemuxGetChunk(demux, name, 1, &found)) return {};
    const std::span data(reinterpret_cast<const std::byte*>(found.chunk.bytes), found.chunk.size);
    WebPDemuxReleaseChunkIterator(&found); // the bytes are the file's
    return data;
}

Error damaged(std::string_view why) {
    return make_error(Code::corrupt, {}, fmt::format("the WebP data are damaged or cut short: {}", why));
}

std::string_view to_words(VP8StatusCode status) noexcept {
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "not enough memory";
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return "the file ends early";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "unsupported feature";
    default:
        return "bad bitstream";
    }
}

class WebpCodec final : public Codec {
public:
    WebpCodec(std::span<const std::byte> bytes, const ImageLimits& limits) : bytes_(bytes), limits_(limits) {}

    Result<void> open() {
        const WebPData data{reinterpret_cast<const std::uint8_t*>(bytes_.data()), bytes_.size()};
        WebPDemuxState state = WEBP_DEMUX_DONE;
        Demux demux(WebPDemuxPartial(&data, &state));
        if (!demux || state != WEBP_DEMUX_DONE)
            return damaged(state == WEBP_DEMUX_PARSE_ERROR ? "its parts do not fit together"
                                                           : "the file ends early");
        header_.width = WebPDemuxGetI(demux.get(), WEBP_FF_CANVAS_WIDTH);
        header_.height = WebPDemuxGetI(demux.get(), WEBP_FF_CANVAS_HEIGHT);
        if (auto fits = check_size(header_.width, header_.height, limits_); !fits) return fits;
        if (auto found = find_frame(demux.get()); !found) return found;
        header_.rows_in_order = false;
        header_.orientation = exif_orientation(chunk(demux.get(), "EXIF"));
        const auto profile = chunk(demux.get(), "ICCP");
        header_.profile.assign(profile.begin(), profile.end());
        return {};
    }

    const Header& header() const noexcept override { return header_; }

    Result<void> decode(RowSink& sink) override {
        WebPDecoderConfig config;
        if (!WebPInitDecoderConfig(&config)) return damaged("libwebp is of another version");
        if (!covers_canvas())
            for (std::uint32_t y = 0; y < sink.height(); ++y)
                std::memset(sink.row(y), 0, std::size_t{sink.width()} * 4);
        const std::ptrdiff_t stride =
            sink.stride(); // negative where the picture is upside down: legal for libwebp
        config.output.colorspace = sink.order() == Order::bgr ? MODE_BGRA : MODE_RGBA;
        config.output.is_external_memory = 1;
        WebPRGBABuffer& target = config.output.u.RGBA;
        target.rgba = reinterpret_cast<std::uint8_t*>(sink.row(y_)) + std::size_t{x_} * 4;
        target.stride = static_cast<int>(stride);
        target.size = static_cast<std::size_t>(stride < 0 ? -stride : stride) * (frame_height_ - 1) +
                      std::size_t{frame_width_} * 4;
        const VP8StatusCode status =
            WebPDecode(reinterpret_cast<const std::uint8_t*>(frame_.data()), frame_.size(), &config);
        WebPFreeDecBuffer(&config.output);
        if (status == VP8_STATUS_OUT_OF_MEMORY)
            return make_error(Code::out_of_memory, {}, "libwebp got no memory");
        if (status != VP8_STATUS_OK) return damaged(to_words(status));
        for (std::uint32_t y = 0; y < sink.height(); ++y)
            sink.finish(y);
        return {};
    }

private:
    bool covers_canvas() const noexcept {
        return frame_width_ == header_.width && frame_height_ == header_.height;
    }

    Result<void> find_frame(const WebPDemuxer* demux) {
        WebPIterator frame{};
        if (!WebPDemuxGetFrame(demux, 1, &frame)) return damaged("there is no frame in it");
        frame_ = {reinterpret_cast<const std::byte*>(frame.fragment.bytes), frame.fragment.size};
        x_ = static_cast<std::uint32_t>(frame.x_offset);
        y_ = static_cast<std::uint32_t>(frame.y_offset);
        frame_width_ = static_cast<std::uint32_t>(frame.width);
        frame_height_ = static_cast<std::uint32_t>(frame.height);
        const int frames = frame.num_frames;
        const bool complete = frame.complete != 0;
        WebPDemuxReleaseIterator(&frame); // the bytes are the file's
        if (!complete) return damaged("the file ends early");
        if (std::uint64_t{x_} + frame_width_ > header_.width ||
            std::uint64_t{y_} + frame_height_ > header_.height)
            return damaged("its first frame is larger than the picture");
        WebPBitstreamFeatures features{};
        const VP8StatusCode status =
            WebPGetFeatures(reinterpret_cast<const std::uint8_t*>(frame_.data()), frame_.size(), &features);
        if (status != VP8_STATUS_OK) return damaged(to_words(status));
        if (static_cast<std::uint32_t>(features.width) != frame_width_ ||
            static_cast<std::uint32_t>(features.height) != frame_height_)
            return damaged("its sizes contradict each other");
        const bool lossless = features.format == 2;
        header_.alpha = features.has_alpha != 0 || !covers_canvas();
        // A private frame of pixels, or of alpha alone: that is a lossless picture of one channel.
        const std::uint64_t private_channels = lossless ? 4 : features.has_alpha != 0 ? 1 : 0;
        header_.private_bytes = std::uint64_t{header_.width} * header_.height * private_channels;
        header_.description = lossless
                                  ? "WebP, lossless (each row comes out of a private frame of libwebp)"
                                  : "WebP, lossy (each row comes out of libwebp's buffer of a few YUV rows";
        if (!lossless)
            header_.description += features.has_alpha != 0 ? " and a private plane of alpha)" : ")";
        if (frames > 1) header_.note = fmt::format("the first of {} frames", frames);
        return {};
    }

    std::span<const std::byte> bytes_;
    ImageLimits limits_;
    Header header_;
    std::span<const std::byte> frame_; ///< the first one's bitstream with its alpha
    std::uint32_t x_ = 0, y_ = 0, frame_width_ = 0, frame_height_ = 0;
};

} // namespace

Result<std::unique_ptr<Codec>> open_webp(std::span<const std::byte> bytes, const ImageLimits& limits) {
    auto codec = std::make_unique<WebpCodec>(bytes, limits);
    if (auto opened = codec->open(); !opened) return std::move(opened).error();
    return std::unique_ptr<Codec>(std::move(codec));
}

} // namespace share::media
