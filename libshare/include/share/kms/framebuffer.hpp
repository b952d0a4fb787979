// SPDX-License-Identifier: MIT
// Framebuffer: a Buffer as a picture that the display controller reads from the Buffer's own bytes.
//
// Made once for a buffer and used for every frame; what the CPU wrote shows at the next commit. It holds its
// share of the Buffer and of its dma-buf (so the pages are pinned), but no Attachment: that lasts as long as
// the picture is read, from a ScanOut's commit until another picture has taken its place. Destroying it
// removes it from the device; where the kernel can (6.8), without disturbing the display. Thread: any.
// Source: drm-kms.rst (frame buffer abstraction), drm_mode.h (ADDFB2, RMFB, CLOSEFB).
#pragma once

#include <cstdint>
#include <memory>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/kms/device.hpp>
#include <share/ledger.hpp>

namespace share::kms {

class SHARE_API Framebuffer {
public:
    /// Errors, each with the device's limits and what to do: limit (size), unsupported (format, modifier, no
    /// dma-buf can be made of this memory, the device cannot import it), invalid_argument (stride, offset).
    static Result<std::shared_ptr<Framebuffer>> create(std::shared_ptr<Device> device,
                                                       std::shared_ptr<Buffer> buffer);
    ~Framebuffer();
    Framebuffer(const Framebuffer&) = delete;
    Framebuffer& operator=(const Framebuffer&) = delete;

    std::uint32_t id() const noexcept { return id_; }
    const std::shared_ptr<Device>& device() const noexcept { return device_; }
    const std::shared_ptr<Buffer>& buffer() const noexcept { return buffer_; }
    /// How the device got the bytes: udmabuf (a dma-buf made of our memfd) or dmabuf.
    Mechanism mechanism() const noexcept { return mechanism_; }

private:
    Framebuffer(std::shared_ptr<Device> device, std::shared_ptr<Buffer> buffer, DmabufHandle dmabuf);
    Result<void> add();
    std::shared_ptr<Device> device_;
    std::shared_ptr<Buffer> buffer_;
    DmabufHandle dmabuf_; ///< so that Buffer::pinned() is true and a mapping is bracketed
    std::uint32_t id_ = 0;
    Mechanism mechanism_ = Mechanism::dmabuf;
};

} // namespace share::kms
