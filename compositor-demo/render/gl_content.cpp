// SPDX-License-Identifier: MIT
#include "render/gl_content.hpp"

#include <fmt/format.h>

#include "render/client_memory.hpp"

namespace compositor::render {

namespace {

namespace fm = share::format;

// The planes of a format as formats of their own; empty when shaders of ours cannot convert it.
struct Split {
    Sampling sampling = Sampling::rgb;
    std::array<share::Fourcc, 3> planes{};
    std::size_t count = 0;
};
Split split_of(share::Fourcc format) {
    switch (format) {
    case fm::nv12:
    case fm::nv21:
    case fm::nv16:
        return {Sampling::y_uv, {fm::r8, fm::gr88, 0}, 2};
    case fm::yuv420:
    case fm::yvu420:
    case fm::yuv422:
    case fm::yuv444:
        return {Sampling::y_u_v, {fm::r8, fm::r8, fm::r8}, 3};
    default:
        return {Sampling::rgb, {format, 0, 0}, 1};
    }
}

// The U and V planes or samples lie the other way round: the sampler puts them right.
void order_chroma(share::Fourcc format, const GlTexture& texture, std::size_t plane) {
    if (format != fm::nv21 || plane != 1) return;
    glBindTexture(GL_TEXTURE_2D, texture.name());
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_SWIZZLE_R, GL_GREEN);
    glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_SWIZZLE_G, GL_RED);
}
std::size_t texture_of_plane(share::Fourcc format, std::size_t plane) {
    return format == fm::yvu420 && plane > 0 ? 3 - plane : plane;
}

scene::Region in_plane(const scene::Region& damage, const share::Layout& layout, std::size_t plane) {
    const auto& info = share::find_format(layout.format())->planes[plane];
    scene::Region part;
    for (const auto& box : damage.boxes()) {
        const int x = box.x1 / info.hsub, y = box.y1 / info.vsub;
        part.add({x, y, (box.x2 + info.hsub - 1) / info.hsub - x, (box.y2 + info.vsub - 1) / info.vsub - y});
    }
    part.intersect(scene::Rect{0, 0, static_cast<int>(layout.plane_width(plane)),
                               static_cast<int>(layout.plane_height(plane))});
    return part;
}

} // namespace

share::Result<std::shared_ptr<GlContent>> GlContent::create(const DisplayPtr& display,
                                                            std::shared_ptr<share::Buffer> buffer,
                                                            bool dmabuf, bool external_only) {
    std::shared_ptr<GlContent> content(new GlContent(display, std::move(buffer)));
    GLint largest = 0;
    glGetIntegerv(GL_MAX_TEXTURE_SIZE, &largest);
    if (content->width() > largest || content->height() > largest)
        return share::make_error(
            share::Code::limit,
            fmt::format("importing a {}x{} buffer into gl", content->width(), content->height()),
            fmt::format("the driver takes up to {} pixels a side", largest));
    // Hardware reads dma-bufs only; wl_shm memory is worth a udmabuf to nobody but a libshare client.
    share::Result<void> imported = share::make_error(share::Code::unsupported, "importing by EGLImage",
                                                     "shared memory of a client is no dma-buf");
    if (dmabuf || display->is_software()) imported = content->import_whole(external_only);
    if (!imported && (dmabuf || display->is_software()) &&
        split_of(content->buffer()->layout().format()).count > 1)
        if (auto planes = content->import_planes()) imported = std::move(planes);
    if (imported) return content;
    const std::string refused = imported.error().text();
    if (auto uploads = content->prepare_upload(); !uploads) {
        uploads.error().detail += "; " + refused;
        return std::move(uploads).error();
    }
    content->import_step_.reason = "uploaded: " + refused;
    return content;
}

share::Result<void> GlContent::import_whole(bool external) {
    const auto format = buffer_->layout().format();
    auto image = share::egl::Image::import(display_, buffer_);
    if (!image) return std::move(image).error();
    auto texture =
        texture_of_image(display_, external ? GL_TEXTURE_EXTERNAL_OES : GL_TEXTURE_2D, image->handle());
    if (!texture) return std::move(texture).error();
    sampling_ = external ? Sampling::external : Sampling::rgb;
    import_step_ = {
        "import",
        share::Mechanism::eglimage,
        share::By::compositor,
        0,
        0,
        fmt::format("{} read in place as {}", to_string(image->mechanism()), share::fourcc_text(format))};
    planes_[0] = {std::move(*texture), std::move(*image), nullptr};
    plane_count_ = 1;
    return {};
}

share::Result<void> GlContent::import_planes() {
    const auto format = buffer_->layout().format();
    const Split split = split_of(format);
    std::array<PlaneTexture, 3> planes;
    for (std::size_t i = 0; i < split.count; ++i) {
        auto image = share::egl::Image::import_plane(display_, buffer_, i, split.planes[i]);
        if (!image) return std::move(image).error();
        auto texture = texture_of_image(display_, GL_TEXTURE_2D, image->handle());
        if (!texture) return std::move(texture).error();
        order_chroma(format, *texture, i);
        planes[texture_of_plane(format, i)] = {std::move(*texture), std::move(*image), nullptr};
    }
    sampling_ = split.sampling;
    import_step_ = {"import",
                    share::Mechanism::eglimage,
                    share::By::compositor,
                    0,
                    0,
                    fmt::format("{} of {} read in place plane by plane, converted by the shader",
                                to_string(planes[0].image->mechanism()), share::fourcc_text(format))};
    planes_ = std::move(planes);
    plane_count_ = split.count;
    return {};
}

share::Result<void> GlContent::prepare_upload() {
    const auto& layout = buffer_->layout();
    const std::string operation =
        fmt::format("importing a {}x{} {} buffer ({}) into gl", layout.width(), layout.height(),
                    share::fourcc_text(layout.format()), share::modifier_text(layout.modifier()));
    if (!layout.row_addressable() || !buffer_->memory()->traits().mappable)
        return share::make_error(share::Code::unsupported, operation, "the CPU cannot read this memory");
    const Split split = split_of(layout.format());
    for (std::size_t i = 0; i < split.count; ++i) {
        const UploadFormat* upload_format = find_upload_format(split.planes[i]);
        if (!upload_format)
            return share::make_error(share::Code::unsupported, operation, "GL has no such pixels");
        auto texture = make_upload_texture(display_, *upload_format, static_cast<int>(layout.plane_width(i)),
                                           static_cast<int>(layout.plane_height(i)));
        order_chroma(layout.format(), texture, i);
        planes_[texture_of_plane(layout.format(), i)] = {std::move(texture), std::nullopt, upload_format};
    }
    sampling_ = split.sampling;
    plane_count_ = split.count;
    uploaded_ = true;
    stale_ = scene::Region(scene::Rect{0, 0, width(), height()});
    import_step_ = {"import", share::Mechanism::texture, share::By::compositor, 0, 0, {}};
    return {};
}

share::Result<void> GlContent::refresh(const scene::Region& damage) {
    if (uploaded_) add_stale(stale_, damage, *buffer_);
    auto whole = share::wayland_server::check_present(*buffer_);
    lost_ = lost_ || !whole;
    return whole;
}

share::Result<void> GlContent::update(std::vector<share::Step>& steps) {
    if (!uploaded_ || stale_.empty()) return {};
    auto updated = upload_stale(steps);
    lost_ = lost_ || (!updated && updated.error().code == share::Code::corrupt);
    return updated;
}

share::Result<void> GlContent::upload_stale(std::vector<share::Step>& steps) {
    const auto& layout = buffer_->layout();
    auto reading = Reading::begin(*buffer_, reading_deadline());
    if (!reading) return std::move(reading).error();
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < layout.plane_count(); ++i) {
        const PlaneTexture& to = planes_[texture_of_plane(layout.format(), i)];
        bytes += upload(to.texture, *to.upload, reading->mapping().plane(i).data(), layout.plane(i).stride,
                        in_plane(stale_, layout, i));
    }
    if (auto ended = reading->end(); !ended) return ended;
    stale_.clear();
    steps.push_back(
        {"import", share::Mechanism::texture, share::By::compositor, bytes, 0, import_step_.reason});
    return {};
}

const GlFramebuffer* GlContent::blit_source() {
    if (std::exchange(blit_tried_, true)) return blit_source_ ? &blit_source_ : nullptr;
    const auto format = buffer_->layout().format();
    if (sampling_ != Sampling::rgb) return nullptr;
    const GlTexture* texture = &planes_[0].texture;
    if (display_->is_software()) {
        // llvmpipe copies rows only between equal formats; ARGB8888 drawn opaque is XRGB8888.
        if (uploaded_ || (format != fm::xrgb8888 && format != fm::argb8888)) return nullptr;
        auto image = share::egl::Image::import(display_, buffer_, fm::xrgb8888);
        if (!image) return nullptr;
        auto made = texture_of_image(display_, GL_TEXTURE_2D, image->handle());
        if (!made) return nullptr;
        blit_image_.emplace(std::move(*image));
        blit_texture_ = std::move(*made);
        texture = &blit_texture_;
    } else if (uploaded_) {
        return nullptr; // swizzles do not apply to blits
    }
    if (auto framebuffer = framebuffer_of(display_, *texture)) blit_source_ = std::move(*framebuffer);
    return blit_source_ ? &blit_source_ : nullptr;
}

} // namespace compositor::render
