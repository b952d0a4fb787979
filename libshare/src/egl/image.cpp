// SPDX-License-Identifier: MIT
#include <share/egl/image.hpp>

#include <fcntl.h>

#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <share/import.hpp>

#include "egl_api.hpp"

namespace share::egl {

namespace {

struct PlaneSource {
    int fd = -1;
    std::uint64_t offset = 0;
    std::uint32_t stride = 0;
};

// What will be asked of EGL: a picture of one to four planes in fds that were checked.
struct Request {
    std::uint32_t width = 0, height = 0;
    Fourcc format = 0;
    std::uint64_t modifier = modifier::none;
    std::vector<PlaneSource> planes;
};

constexpr std::array<std::array<EGLint, 5>, max_planes> plane_attributes{{
    {EGL_DMA_BUF_PLANE0_FD_EXT, EGL_DMA_BUF_PLANE0_OFFSET_EXT, EGL_DMA_BUF_PLANE0_PITCH_EXT,
     EGL_DMA_BUF_PLANE0_MODIFIER_LO_EXT, EGL_DMA_BUF_PLANE0_MODIFIER_HI_EXT},
    {EGL_DMA_BUF_PLANE1_FD_EXT, EGL_DMA_BUF_PLANE1_OFFSET_EXT, EGL_DMA_BUF_PLANE1_PITCH_EXT,
     EGL_DMA_BUF_PLANE1_MODIFIER_LO_EXT, EGL_DMA_BUF_PLANE1_MODIFIER_HI_EXT},
    {EGL_DMA_BUF_PLANE2_FD_EXT, EGL_DMA_BUF_PLANE2_OFFSET_EXT, EGL_DMA_BUF_PLANE2_PITCH_EXT,
     EGL_DMA_BUF_PLANE2_MODIFIER_LO_EXT, EGL_DMA_BUF_PLANE2_MODIFIER_HI_EXT},
    {EGL_DMA_BUF_PLANE3_FD_EXT, EGL_DMA_BUF_PLANE3_OFFSET_EXT, EGL_DMA_BUF_PLANE3_PITCH_EXT,
     EGL_DMA_BUF_PLANE3_MODIFIER_LO_EXT, EGL_DMA_BUF_PLANE3_MODIFIER_HI_EXT},
}};

std::vector<EGLint> attributes_of(const Request& request, bool with_modifiers) {
    std::vector<EGLint> list{EGL_WIDTH,
                             static_cast<EGLint>(request.width),
                             EGL_HEIGHT,
                             static_cast<EGLint>(request.height),
                             EGL_LINUX_DRM_FOURCC_EXT,
                             static_cast<EGLint>(request.format)};
    if (const auto* info = find_format(request.format); info && info->yuv) {
        // The same choice as for planes that a shader converts: HD is BT.709, everything else BT.601.
        const bool hd = request.height >= 720;
        list.insert(list.end(), {EGL_YUV_COLOR_SPACE_HINT_EXT, hd ? EGL_ITU_REC709_EXT : EGL_ITU_REC601_EXT,
                                 EGL_SAMPLE_RANGE_HINT_EXT, EGL_YUV_NARROW_RANGE_EXT});
    }
    for (std::size_t i = 0; i < request.planes.size(); ++i) {
        const PlaneSource& plane = request.planes[i];
        const auto& names = plane_attributes[i];
        list.insert(list.end(), {names[0], plane.fd, names[1], static_cast<EGLint>(plane.offset), names[2],
                                 static_cast<EGLint>(plane.stride)});
        if (with_modifiers)
            list.insert(list.end(), {names[3], static_cast<EGLint>(request.modifier & 0xffff'ffffU), names[4],
                                     static_cast<EGLint>(request.modifier >> 32)});
    }
    list.push_back(EGL_NONE);
    return list;
}

// A software driver maps the fd for reading and writing, whole: nothing may be missing, now or later.
Result<void> check_stand_in(int fd, std::uint64_t needed, const std::string& operation) {
    auto facts = inspect_fd(fd);
    if (!facts) return std::move(facts).error();
    if (facts->kind == MemoryKind::dmabuf) return {};
    if (facts->can_lose_pages())
        return make_error(
            Code::unsupported, operation,
            (facts->seals & F_SEAL_SHRINK) == 0
                ? "its file can shrink, and the driver would crash on missing pages; seal it (F_SEAL_SHRINK)"
                : "holes can be punched into its huge pages, and the driver would crash on missing ones; "
                  "share ordinary pages");
    if ((facts->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0 || !facts->writable)
        return make_error(Code::unsupported, operation,
                          "software drivers map memory writable, this file forbids that");
    if (facts->size < needed)
        return make_error(Code::invalid_argument, operation,
                          fmt::format("the file has {} bytes, the layout needs {}", facts->size, needed));
    return {};
}

Result<void> check_dmabuf(int fd, std::uint64_t needed, const std::string& operation) {
    auto facts = inspect_fd(fd);
    if (!facts) return std::move(facts).error();
    if (facts->kind != MemoryKind::dmabuf)
        return make_error(Code::unsupported, operation, "the memory is no dma-buf");
    if (facts->size != 0 && facts->size < needed)
        return make_error(Code::invalid_argument, operation,
                          fmt::format("the dma-buf has {} bytes, the layout needs {}", facts->size, needed));
    return {};
}

} // namespace

struct ImageImporter {
    std::shared_ptr<Display> display;
    std::shared_ptr<Buffer> buffer;
    std::string operation;
    Image image;

    ImageImporter(std::shared_ptr<Display> on, std::shared_ptr<Buffer> of, Fourcc as)
        : display(std::move(on)), buffer(std::move(of)) {
        const Layout& layout = buffer->layout();
        operation = fmt::format("importing a {}x{} {} buffer ({}) into {}", layout.width(), layout.height(),
                                fourcc_text(as), modifier_text(layout.modifier()), display->driver());
    }

    // Where the plane's bytes are, as an fd that this driver may see.
    Result<PlaneSource> source(std::size_t plane) {
        const Layout& layout = buffer->layout();
        const Plane& at = layout.plane(plane);
        const auto& memory = buffer->memory(plane);
        PlaneSource found{memory->fd(), buffer->offset() + at.offset, at.stride};
        const std::uint64_t bytes = layout.row_addressable() ? layout.plane_bytes(plane) : 0;
        const auto needed = checked_add(found.offset, bytes);
        if (!needed) return make_error(Code::invalid_argument, operation, "offset overflows");
        if (memory->traits().kind == MemoryKind::dmabuf) {
            image.mechanism_ = Mechanism::dmabuf;
            if (auto ok = check_dmabuf(found.fd, *needed, operation); !ok) return std::move(ok).error();
        } else if (display->is_software()) {
            image.mechanism_ = Mechanism::memfd;
            if (found.fd < 0)
                return make_error(Code::unsupported, operation, "the memory has no file behind it");
            if (auto ok = check_stand_in(found.fd, *needed, operation); !ok) return std::move(ok).error();
        } else {
            return exported(plane);
        }
        return found;
    }

    // Hardware takes real dma-bufs only: made of the memory when the first plane asks, shared by the others.
    Result<PlaneSource> exported(std::size_t plane) {
        if (!image.dmabuf_) {
            auto handle = buffer->export_dmabuf();
            if (!handle) return std::move(handle).error();
            image.dmabuf_ = std::move(*handle);
        }
        image.mechanism_ = Mechanism::udmabuf;
        const Plane& at = image.dmabuf_->layout.plane(plane);
        const int fd = image.dmabuf_->fd(plane);
        if (auto ok = check_dmabuf(fd, at.offset + buffer->layout().plane_bytes(plane), operation); !ok)
            return std::move(ok).error();
        return PlaneSource{fd, at.offset, at.stride};
    }

    Result<Image> make(const Request& request) {
        constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<EGLint>::max());
        for (const PlaneSource& plane : request.planes)
            if (plane.offset > limit || plane.stride > limit)
                return make_error(Code::limit, operation, "EGL takes offsets and strides below 2 GiB only");
        if (!display->imports())
            return make_error(Code::unsupported, operation,
                              "a software driver on a DRM node maps that node's own buffers only");
        if (!display->has_extension("EGL_EXT_image_dma_buf_import") || !egl_api().create_image)
            return make_error(Code::unsupported, operation, "the driver lacks EGL_EXT_image_dma_buf_import");
        const bool modifiers = display->has_extension("EGL_EXT_image_dma_buf_import_modifiers");
        if (!modifiers && request.modifier != modifier::none && request.modifier != modifier::linear)
            return make_error(Code::unsupported, operation,
                              "the driver lacks EGL_EXT_image_dma_buf_import_modifiers");
        if (!modifiers && request.planes.size() > 3)
            return make_error(Code::unsupported, operation, "a fourth plane needs the modifiers extension");
        const auto list = attributes_of(request, modifiers && request.modifier != modifier::none);
        EGLImageKHR handle = egl_api().create_image(display->handle(), EGL_NO_CONTEXT, EGL_LINUX_DMA_BUF_EXT,
                                                    nullptr, list.data());
        if (handle == EGL_NO_IMAGE_KHR)
            return make_error(Code::unsupported, operation,
                              fmt::format("eglCreateImageKHR: {}", egl_error_text(eglGetError())));
        image.image_ = handle;
        image.display_ = std::move(display);
        image.buffer_ = std::move(buffer);
        return std::move(image);
    }
};

Result<Image> Image::import(std::shared_ptr<Display> display, std::shared_ptr<Buffer> buffer, Fourcc as) {
    const Layout layout = buffer->layout();
    if (as == 0) as = layout.format();
    ImageImporter importer(std::move(display), std::move(buffer), as);
    const auto *own = find_format(layout.format()), *other = find_format(as);
    if (as != layout.format() &&
        (!own || !other || own->plane_count != 1 || other->plane_count != 1 || own->yuv || other->yuv ||
         own->planes[0].block_bytes != other->planes[0].block_bytes))
        return make_error(Code::invalid_argument, importer.operation,
                          "the two formats do not have the same layout");
    Request request{layout.width(), layout.height(), as, layout.modifier(), {}};
    for (std::size_t i = 0; i < layout.plane_count(); ++i) {
        auto plane = importer.source(i);
        if (!plane) return std::move(plane).error();
        request.planes.push_back(*plane);
    }
    return importer.make(request);
}

Result<Image> Image::import_plane(std::shared_ptr<Display> display, std::shared_ptr<Buffer> buffer,
                                  std::size_t plane, Fourcc as) {
    const Layout layout = buffer->layout();
    ImageImporter importer(std::move(display), std::move(buffer), as);
    const auto *own = find_format(layout.format()), *other = find_format(as);
    if (plane >= layout.plane_count() || !layout.row_addressable() || !own || !other ||
        other->plane_count != 1 || own->planes[plane].block_bytes != other->planes[0].block_bytes ||
        own->planes[plane].block_width != 1)
        return make_error(Code::invalid_argument, importer.operation,
                          fmt::format("plane {} is no such image", plane));
    auto found = importer.source(plane);
    if (!found) return std::move(found).error();
    return importer.make(
        {layout.plane_width(plane), layout.plane_height(plane), as, layout.modifier(), {*found}});
}

Image::Image(Image&& other) noexcept
    : display_(std::move(other.display_)),
      buffer_(std::move(other.buffer_)),
      dmabuf_(std::move(other.dmabuf_)),
      image_(std::exchange(other.image_, nullptr)),
      mechanism_(other.mechanism_) {}

Image& Image::operator=(Image&& other) noexcept {
    if (this == &other) return *this;
    Image gone(std::move(*this));
    display_ = std::move(other.display_);
    buffer_ = std::move(other.buffer_);
    dmabuf_ = std::move(other.dmabuf_);
    image_ = std::exchange(other.image_, nullptr);
    mechanism_ = other.mechanism_;
    return *this;
}

Image::~Image() {
    if (image_) egl_api().destroy_image(display_->handle(), image_);
}

} // namespace share::egl
