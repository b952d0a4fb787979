// SPDX-License-Identifier: MIT
// Swapchain and Source: the two ends of a stream. A Source writes frames into Buffers; a Swapchain lends
// the Buffers of one surface or window and shows them. Implemented in wayland_client, x11, media, ...
// Thread: one Swapchain or Source belongs to one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/ledger.hpp>

namespace share {

struct Rect {
    std::int32_t x = 0, y = 0, width = 0, height = 0;
    friend bool operator==(const Rect&, const Rect&) = default;
};

class SHARE_API Swapchain {
public:
    /// A buffer that is ours to write until it is presented.
    struct Image {
        std::shared_ptr<Buffer> buffer;
        std::uint32_t slot = 0;
        std::uint32_t age = 0; ///< presents since this buffer's content was shown; 0: undefined content
    };
    virtual ~Swapchain() = default;
    virtual const Layout& layout() const noexcept = 0;
    /// Waits for a free buffer, serving the display connection meanwhile. Errors: timed_out, disconnected.
    virtual Result<Image> acquire(Deadline deadline) = 0;
    /// Gives an image back unpresented.
    virtual void discard(Image image) noexcept = 0;
    /// Shows it. `damage` in buffer pixels; empty: all of it. `record` holds the steps so far (decode); the
    /// swapchain appends its own and puts the record into the ledger. Never waits until the display has
    /// shown or released anything. Only where the pixels themselves go through a socket does it take as long
    /// as the display takes to read them, at most the implementation's limit (X11Swapchain: send_timeout);
    /// then it fails with `timed_out`. path() tells whether that is so.
    virtual Result<void> present(Image image, std::span<const Rect> damage, FrameRecord record) = 0;
    /// Waits until the display wants the next frame (frame callback, completion event). A hidden window is
    /// never asked for one: then `timed_out`, and presenting is still legal.
    virtual Result<void> wait_paced(Deadline deadline) = 0;
    /// Waits until the last presented frame was shown, as far as this display can tell.
    virtual Result<void> wait_shown(Deadline deadline) = 0;
    /// "udmabuf", "wl_shm", "mit-shm-fd", ...: the path taken, as in the ledger.
    virtual Mechanism path() const noexcept = 0;
};

struct SourceInfo {
    std::string name;
    std::uint32_t width = 0, height = 0; ///< as shown: orientation applied
    bool alpha = false;
    /// What it can write, best first.
    std::vector<Fourcc> formats;
};

class SHARE_API Source {
public:
    virtual ~Source() = default;
    virtual const SourceInfo& info() const noexcept = 0;
    /// Writes one whole frame into a write mapping of info()'s size and one of its formats. `record` gets
    /// the step that says what was written how. On an error the content is undefined and must not be shown.
    virtual Result<void> read(Mapping& into, FrameRecord& record) = 0;
};

} // namespace share
