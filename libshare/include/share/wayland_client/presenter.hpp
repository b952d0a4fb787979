// SPDX-License-Identifier: MIT
// Presenter: shows Buffers that somebody else made on a wl_surface: a camera's, a decoder's, those of another
// process. Nothing is copied; what cannot be handed over as it is, is refused.
//
// Where a Swapchain lends buffers of its own choice, a Presenter takes what comes. For each Buffer it makes a
// wl_buffer, once: of a real dma-buf by linux-dmabuf's create (which may be refused at no cost); of
// page-cache memory by a udmabuf, else the memfd itself, else as wl_shm. The ledger gets a note with the
// first path taken for a kind of buffer and one for each that was refused.
//
// present() holds a read Attachment on the Buffer until wl_buffer.release: while it lasts, nobody gets to
// write it, and a Camera does not queue it again. The wl_buffer of a Buffer that nobody else has any more
// goes with the next present(); all that the compositor does not read go when nothing new is shown for a
// while, and are made again when their Buffer is. Destroying a Presenter while the compositor still reads is
// safe: its Display keeps those.
//
// wl_shm reads a device's pixels through the CPU's cache: right where devices are cache-coherent, as on PCs.
//
// Owner: the program; Display, wl_surface and Ledger outlive it. The program keeps the surface's role and
// scale. Thread: the Display's. Errors: unsupported (each refusal in the text), those of Display and
// Buffer::attach. Source: linux-dmabuf-v1 (create), wayland.xml (wl_surface, wl_buffer.release),
// presentation-time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>

#include <share/api.hpp>
#include <share/swapchain.hpp>
#include <share/wayland_client/display.hpp>
#include <share/wayland_client/presentation_time.hpp>

struct wl_surface;

namespace share::wayland_client {

class SHARE_API Presenter {
public:
    struct Impl;

    static Result<std::unique_ptr<Presenter>> create(Display& display, wl_surface* surface, Ledger& ledger,
                                                     Deadline deadline);
    ~Presenter();

    /// Whether the compositor lists linear buffers of this format on any path. Its word: prepare() asks it.
    bool lists(Fourcc format) const noexcept;
    /// Makes the wl_buffer now: the first frame then waits for nothing, and a refusal is known early.
    Result<void> prepare(const std::shared_ptr<Buffer>& buffer, Deadline deadline);
    /// Shows it. `damage` in buffer pixels; empty: all of it. `record` holds the steps so far. Waits for the
    /// compositor only when the Buffer is new.
    Result<void> present(const std::shared_ptr<Buffer>& buffer, std::span<const Rect> damage,
                         FrameRecord record, Deadline deadline);
    /// As Swapchain's.
    Result<void> wait_paced(Deadline deadline);
    Result<void> wait_shown(Deadline deadline);

    /// Presenting nothing for so long lets go of every wl_buffer that the compositor has released (1 s at
    /// first; milliseconds::max(): never), as SwapchainOptions::idle_after.
    void set_idle_after(std::chrono::milliseconds after) noexcept;
    /// Lets go of them now. Returns how many went.
    std::size_t trim() noexcept;

    /// The path of the last frame.
    std::optional<Mechanism> path() const noexcept;
    /// Buffers that the compositor may read now.
    std::size_t held_by_compositor() const noexcept;
    /// wl_buffers that exist.
    std::size_t known() const noexcept;
    const std::optional<PresentationTime>& last_shown() const noexcept;

private:
    explicit Presenter(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

} // namespace share::wayland_client
