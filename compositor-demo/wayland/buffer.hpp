// SPDX-License-Identifier: MIT
// What is behind a wl_buffer, whichever protocol made it, and who is using it.
//
// SurfaceBuffer: one wl_buffer as the compositor knows it; shared by the table and by surfaces, so that it
// outlives its wl_buffer. BufferUse: one surface's (or output's) hold on it from a commit on; when the last
// use of a wl_buffer goes, wl_buffer.release is sent, exactly then. Thread: the display's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "scene/content.hpp"
#include "scene/frame.hpp"
#include "scene/surface_map.hpp"
#include "wayland/quota.hpp"

#include <share/buffer.hpp>

namespace compositor::wayland {

/// What a wl_buffer is, whoever made it.
struct BufferFacts {
    std::shared_ptr<share::Buffer> buffer; ///< null: a single pixel of `color`
    scene::Color color;
    bool dmabuf = false;
    std::shared_ptr<scene::Content> content; ///< when it was imported already
};

class BufferTable;

class SurfaceBuffer {
public:
    SurfaceBuffer(BufferTable& table, wl_resource* resource, BufferFacts facts);
    ~SurfaceBuffer();
    SurfaceBuffer(const SurfaceBuffer&) = delete;
    SurfaceBuffer& operator=(const SurfaceBuffer&) = delete;

    /// Null when the wl_buffer was destroyed.
    wl_resource* resource() const noexcept { return resource_; }
    const std::shared_ptr<share::Buffer>& buffer() const noexcept { return facts_.buffer; }
    const std::shared_ptr<scene::Content>& content() const noexcept { return facts_.content; }
    const scene::Color& color() const noexcept { return facts_.color; }
    scene::Size size() const noexcept;
    bool has_alpha() const noexcept;
    /// Makes the content on first use. Errors: what the importer says.
    share::Result<void> import(scene::ContentImporter& importer);
    /// The client truncated the memory: it pays, as its buffer's protocol says.
    /// False when there is no wl_buffer left to tell it on.
    bool lost(const std::string& why) noexcept;

private:
    friend class BufferUse;
    static void on_destroy(wl_listener* listener, void*) noexcept;
    struct Listener {
        wl_listener listener{};
        SurfaceBuffer* owner = nullptr;
    };
    Listener listener_;
    BufferTable& table_;
    wl_resource* resource_;
    BufferFacts facts_;
    int uses_ = 0;
};

class BufferUse {
public:
    /// Errors: busy (somebody is writing the buffer).
    static share::Result<std::shared_ptr<BufferUse>> create(std::shared_ptr<SurfaceBuffer> buffer,
                                                            std::string who);
    explicit BufferUse(std::shared_ptr<SurfaceBuffer> buffer, share::Attachment attachment);
    ~BufferUse() { release(); }
    BufferUse(const BufferUse&) = delete;
    BufferUse& operator=(const BufferUse&) = delete;
    SurfaceBuffer& buffer() const noexcept { return *buffer_; }
    const std::shared_ptr<SurfaceBuffer>& shared() const noexcept { return buffer_; }
    /// Its pixels will not be read again. Idempotent.
    void release() noexcept;
    bool released() const noexcept { return released_; }

private:
    std::shared_ptr<SurfaceBuffer> buffer_;
    share::Attachment attachment_;
    bool released_ = false;
};

/// The SurfaceBuffer of each wl_buffer that some surface has shown: imports are made once. Outlives clients.
class BufferTable {
public:
    /// Null when the wl_buffer is of no protocol that we speak.
    std::shared_ptr<SurfaceBuffer> find(wl_resource* resource);

private:
    friend class SurfaceBuffer;
    std::unordered_map<wl_resource*, std::shared_ptr<SurfaceBuffer>> buffers_;
};

} // namespace compositor::wayland
