// SPDX-License-Identifier: MIT
// HeldBuffer: one wl_buffer, what it shows, and the compositor's hold on it between commit and release.
//
// Owned by its swapchain's slot; when that goes while the compositor still reads, by the Display, until
// wl_buffer.release. Never moved: the listener knows its address. Thread: the Display's.
#pragma once

#include <memory>
#include <vector>

#include <share/buffer.hpp>

#include "proxy.hpp"

namespace share::wayland_client {

class Lingering;

class HeldBuffer {
public:
    HeldBuffer(Proxy<wl_buffer> object, std::shared_ptr<Buffer> buffer, DmabufHandle dmabuf);
    HeldBuffer(const HeldBuffer&) = delete;
    HeldBuffer& operator=(const HeldBuffer&) = delete;

    const std::shared_ptr<Buffer>& buffer() const noexcept { return buffer_; }
    wl_buffer* object() const noexcept { return object_.get(); }
    bool held() const noexcept { return static_cast<bool>(attachment_); }
    void hold(Attachment attachment) noexcept { attachment_ = std::move(attachment); }

private:
    friend class Lingering;
    static const wl_buffer_listener listener;
    void release() noexcept;

    std::shared_ptr<Buffer> buffer_;
    DmabufHandle dmabuf_; ///< kept so that CPU access is bracketed on the dma-buf that the compositor reads
    Proxy<wl_buffer> object_;
    Attachment attachment_;
    Lingering* lingering_ = nullptr;
};

/// Buffers whose swapchain is gone and that the compositor has not released yet.
class Lingering {
public:
    void keep(std::unique_ptr<HeldBuffer> buffer);
    std::size_t count() const noexcept { return buffers_.size(); }

private:
    friend class HeldBuffer;
    void drop(const HeldBuffer* buffer) noexcept;
    std::vector<std::unique_ptr<HeldBuffer>> buffers_;
};

} // namespace share::wayland_client
