// SPDX-License-Identifier: MIT
#include <share/media/image.hpp>

#include <new>
#include <string_view>

#include <fmt/format.h>

#include "codec.hpp"
#include "file.hpp"

namespace share::media {

namespace {

std::string_view base_name(std::string_view path) noexcept {
    return path.substr(path.rfind('/') + 1);
}

Error about(Error error, std::string_view doing, const std::string& path) {
    error.operation = fmt::format("{} picture '{}'", doing, path);
    return error;
}

class ImageSource final : public Source {
public:
    ImageSource(std::vector<std::byte> bytes, std::string path)
        : bytes_(std::move(bytes)), path_(std::move(path)) {}

    Result<void> open(const ImageLimits& limits);
    const SourceInfo& info() const noexcept override { return info_; }
    Result<void> read(Mapping& into, FrameRecord& record) override;

private:
    Result<void> check(const Mapping& into) const;
    std::string reason(const RowSink& sink) const;

    const std::vector<std::byte> bytes_;
    const std::string path_;
    SourceInfo info_;
    std::unique_ptr<Codec> codec_;
    std::unique_ptr<Color> color_;
    std::vector<std::uint32_t> scratch_;
};

bool needs_whole_frame(const Header& header) noexcept {
    return turns(header.orientation) && !header.rows_in_order;
}

Result<void> ImageSource::open(const ImageLimits& limits) {
    auto codec = open_codec(bytes_, limits);
    if (!codec) return std::move(codec).error();
    codec_ = std::move(codec).value();
    const Header& header = codec_->header();
    std::uint64_t private_bytes = header.private_bytes;
    if (needs_whole_frame(header)) private_bytes += std::uint64_t{header.width} * header.height * 4;
    if (private_bytes > limits.max_private_bytes)
        return make_error(
            Code::limit, {},
            fmt::format("decoding {}x{} of {} needs {} bytes of private memory and the limit is {}",
                        header.width, header.height, header.description, private_bytes,
                        limits.max_private_bytes));
    color_ = std::make_unique<Color>(header.channels, header.alpha, header.profile);
    info_.name = base_name(path_);
    info_.width = turns(header.orientation) ? header.height : header.width;
    info_.height = turns(header.orientation) ? header.width : header.height;
    info_.alpha = header.alpha;
    if (!header.alpha) info_.formats = {format::xrgb8888, format::xbgr8888};
    info_.formats.push_back(format::argb8888);
    info_.formats.push_back(format::abgr8888);
    return {};
}

Result<void> ImageSource::check(const Mapping& into) const {
    const Layout& layout = into.layout();
    const auto wrong = [&](std::string why) {
        return make_error(Code::invalid_argument, {}, std::move(why));
    };
    if (layout.width() != info_.width || layout.height() != info_.height)
        return wrong(fmt::format("the picture is {}x{} and the buffer {}x{}", info_.width, info_.height,
                                 layout.width(), layout.height()));
    bool known = false;
    for (const Fourcc format : info_.formats)
        known = known || format == layout.format();
    if (!known) return wrong(fmt::format("it cannot be written as {}", fourcc_text(layout.format())));
    if (!layout.row_addressable()) return wrong("the buffer's rows cannot be addressed (it is tiled)");
    if (!writes(into.access())) return wrong("the mapping is for reading only");
    if (layout.plane(0).stride % 4 != 0 || reinterpret_cast<std::uintptr_t>(into.plane(0).data()) % 4 != 0)
        return wrong("the buffer's rows do not begin at multiples of four bytes");
    return {};
}

std::string ImageSource::reason(const RowSink& sink) const {
    const Header& header = codec_->header();
    std::string text = header.description + (sink.strip_rows() ? "" : ": rows land in the buffer");
    if (needs_whole_frame(header))
        text += fmt::format("; Exif orientation {}: turned from a private frame", header.orientation);
    else if (sink.strip_rows())
        text += fmt::format("; Exif orientation {}: turned through a strip of {} rows", header.orientation,
                            sink.strip_rows());
    else if (header.orientation != 1)
        text += fmt::format("; Exif orientation {}", header.orientation);
    if (!color_->note().empty()) text += "; " + color_->note();
    if (header.alpha) text += "; alpha premultiplied";
    if (!header.note.empty()) text += "; " + header.note;
    return text;
}

Result<void> ImageSource::read(Mapping& into, FrameRecord& record) {
    try {
        if (auto fits = check(into); !fits) return about(std::move(fits).error(), "decoding", path_);
        const Header& header = codec_->header();
        const Fourcc format = into.layout().format();
        const Order order =
            format == format::xrgb8888 || format == format::argb8888 ? Order::bgr : Order::rgb;
        color_->prepare(order);
        RowSink sink(into, header.width, header.height, header.orientation, needs_whole_frame(header),
                     *color_, order, scratch_);
        if (auto done = codec_->decode(sink); !done) return about(std::move(done).error(), "decoding", path_);
        record.steps.push_back(
            {"decode", Mechanism::decode, By::us, sink.bytes_copied(), sink.bytes_converted(), reason(sink)});
        return {};
    } catch (const std::bad_alloc&) {
        return make_error(Code::out_of_memory, fmt::format("decoding picture '{}'", path_),
                          "not enough memory");
    }
}

Result<std::unique_ptr<Source>> open_bytes(std::vector<std::byte> bytes, const std::string& name,
                                           const OpenOptions& options) {
    auto source = std::make_unique<ImageSource>(std::move(bytes), name);
    if (auto opened = source->open(options.limits); !opened)
        return about(std::move(opened).error(), "opening", name);
    return std::unique_ptr<Source>(std::move(source));
}

Error no_memory(const std::string& name) {
    return make_error(Code::out_of_memory, fmt::format("opening picture '{}'", name), "not enough memory");
}

} // namespace

Result<std::unique_ptr<Source>> open_image(const std::string& path, const OpenOptions& options) {
    try {
        auto bytes = read_regular_file(path, options.limits.max_file_bytes);
        if (!bytes) return std::move(bytes).error();
        return open_bytes(std::move(bytes).value(), path, options);
    } catch (const std::bad_alloc&) {
        return no_memory(path);
    }
}

Result<std::unique_ptr<Source>> open_image(std::span<const std::byte> bytes, const std::string& name,
                                           const OpenOptions& options) {
    try {
        if (bytes.size() > options.limits.max_file_bytes)
            return make_error(Code::limit, fmt::format("opening picture '{}'", name),
                              fmt::format("it has {} bytes and the limit is {}", bytes.size(),
                                          options.limits.max_file_bytes));
        return open_bytes({bytes.begin(), bytes.end()}, name, options);
    } catch (const std::bad_alloc&) {
        return no_memory(name);
    }
}

} // namespace share::media
