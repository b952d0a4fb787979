// SPDX-License-Identifier: MIT
// Content and ContentImporter: what the scene wants of whoever turns client buffers into something that can
// be drawn. render/ implements both; server/ hands the importer to wayland/. One thread: the compositor's.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "scene/region.hpp"

#include <share/buffer.hpp>
#include <share/ledger.hpp>
#include <share/result.hpp>

namespace compositor::scene {

/// A client buffer as a renderer keeps it (an EGLImage with its texture, a mapping). Holds its share of the
/// Buffer, so it stays valid when the wl_buffer is destroyed.
class Content {
public:
    virtual ~Content() = default;
    const std::shared_ptr<share::Buffer>& buffer() const noexcept { return buffer_; }
    int width() const noexcept { return static_cast<int>(buffer_->layout().width()); }
    int height() const noexcept { return static_cast<int>(buffer_->layout().height()); }
    /// True when the content has all pixels in memory of its own: the client may have its buffer back.
    virtual bool has_copy() const noexcept { return false; }
    /// How the pixels get to the output, for the ledger: one step, without the bytes of a single frame.
    const share::Step& import_step() const noexcept { return import_step_; }

protected:
    Content(std::shared_ptr<share::Buffer> buffer, share::Step step)
        : buffer_(std::move(buffer)), import_step_(std::move(step)) {}
    std::shared_ptr<share::Buffer> buffer_;
    share::Step import_step_;
};

class ContentImporter {
public:
    virtual ~ContentImporter() = default;
    /// What import() takes of memory that the CPU can map, any stride; advertised by wl_shm.
    virtual std::span<const share::Fourcc> shm_formats() const = 0;
    /// What import() takes of dma-bufs, each probed or unprobeable; advertised by linux-dmabuf.
    virtual std::span<const share::FormatModifier> dmabuf_formats() const = 0;
    /// True when a sealed memfd may stand in for a dma-buf (software rendering only).
    virtual bool accepts_memfd_as_dmabuf() const = 0;
    /// st_rdev of the DRM node that renders, 0 when there is none.
    virtual std::uint64_t main_device() const = 0;

    /// Makes content of a buffer, once per wl_buffer. When `dmabuf` the memory came through linux-dmabuf;
    /// a renderer that cannot import it reads it through a mapping instead and says so in import_step(), or
    /// fails.
    virtual share::Result<std::shared_ptr<Content>> import(std::shared_ptr<share::Buffer> buffer,
                                                           bool dmabuf) = 0;
    /// The client committed the content (again): pixels in `damage` (buffer coordinates) are new. Copies
    /// nothing: content that needs a copy makes it when it is drawn, and drawing tells it. Fails with
    /// `corrupt`, and only so, when the client's memory was truncated; the old picture stays.
    virtual share::Result<void> refresh(Content& content, const Region& damage) = 0;
};

} // namespace compositor::scene
