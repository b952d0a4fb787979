// SPDX-License-Identifier: MIT
// Image: a Buffer as EGLImage; the driver reads (and writes) the Buffer's own bytes.
//
// Everything is checked before EGL sees an fd, because software drivers map what they are given and crash on
// short files: the fd must be a dma-buf or, on a software driver only, a file of the page cache that cannot
// shrink and that may be mapped writable; the Layout has been checked against it.
// The image holds its share of the Buffer and of the Display. Thread: the Display's.
// Sources: EGL_EXT_image_dma_buf_import, EGL_EXT_image_dma_buf_import_modifiers.
#pragma once

#include <memory>
#include <optional>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/egl/display.hpp>
#include <share/ledger.hpp>

namespace share::egl {

class SHARE_API [[nodiscard]] Image {
public:
    /// The whole buffer. `as`: read the bytes as another format of the same layout (XRGB8888 for an opaque
    /// ARGB8888 buffer); 0: the buffer's own.
    /// Errors: unsupported (the driver or the memory cannot, with the reason), invalid_argument, limit.
    static Result<Image> import(std::shared_ptr<Display> display, std::shared_ptr<Buffer> buffer,
                                Fourcc as = 0);
    /// One plane of a buffer as an image of its own: plane 1 of NV12 as GR88.
    static Result<Image> import_plane(std::shared_ptr<Display> display, std::shared_ptr<Buffer> buffer,
                                      std::size_t plane, Fourcc as);

    Image(Image&& other) noexcept;
    Image& operator=(Image&& other) noexcept;
    ~Image();

    /// EGLImageKHR, for glEGLImageTargetTexture2DOES.
    void* handle() const noexcept { return image_; }
    const std::shared_ptr<Buffer>& buffer() const noexcept { return buffer_; }
    /// How the driver got the bytes: dmabuf, udmabuf (made of our memfd), or memfd (software drivers).
    Mechanism mechanism() const noexcept { return mechanism_; }

private:
    Image() = default;
    friend struct ImageImporter;
    std::shared_ptr<Display> display_;
    std::shared_ptr<Buffer> buffer_;
    std::optional<DmabufHandle> dmabuf_; ///< keeps a udmabuf that was made for this image
    void* image_ = nullptr;
    Mechanism mechanism_ = Mechanism::dmabuf;
};

} // namespace share::egl
