// SPDX-License-Identifier: MIT
// Swapchain on any wl_surface: the best path that this compositor really accepts.
//
// Paths, best first, each tried with a real buffer and zwp_linux_buffer_params_v1.create (a refusal then
// costs nothing, where create_immed would end the connection):
//   udmabuf   the stream's memfd as real dma-bufs, one per frame, made late;
//   memfd     the memfd itself where the compositor takes it as a dma-buf (software renderers do);
//   wl_shm    the same memfd as a wl_shm pool. Still no copy on our side.
// The formats are tried in the caller's order: a better path never costs picture quality. The ledger gets a
// note with the path taken and one with the reason for each better one that was not.
//
// The life of a frame: acquire() lends a slot -> the producer writes inside Buffer::map(write) and ends the
// Mapping -> present() attaches, damages and commits, and holds an Attachment on the Buffer -> the
// compositor reads -> wl_buffer.release drops the Attachment: the slot is free. All slots lie in one Memory;
// a slot's wl_buffer is made on its first use and kept, so a steady frame sends no fd. Two or three slots
// turn around; a compositor that releases late gets more up to a cap, then acquire() waits.
// Destroying a Swapchain while the compositor still reads is safe: its Display keeps those buffers until
// they are released. A resize is a new Swapchain of another layout on the same surface.
//
// Owner: the program; the Display and the wl_surface outlive it. The program keeps the surface's role,
// viewport and scale. Thread: the Display's. Errors: unsupported (no path; lists each reason), those of
// Display, Heap::allocate and Buffer::attach. Source: wayland.xml (wl_surface, wl_buffer.release),
// linux-dmabuf-v1, presentation-time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <share/api.hpp>
#include <share/heap.hpp>
#include <share/swapchain.hpp>
#include <share/wayland_client/display.hpp>
#include <share/wayland_client/presentation_time.hpp>

struct wl_surface;

namespace share::wayland_client {

struct SwapchainOptions {
    std::uint32_t width = 0, height = 0; ///< of the buffers, in pixels
    std::vector<Fourcc> formats;         ///< what the producer can write, best first
    LayoutRules layout_rules;
    /// The heap to take instead of the best one; empty: udmabuf, else memfd.
    std::string heap;
    /// Slots that are used before a late release may bring in another, and the cap.
    std::uint32_t start_slots = 3, max_slots = 5;
    /// How long acquire() waits for a release before it takes one more slot.
    std::chrono::milliseconds grow_after{50};
    /// A stream that presents nothing for so long lets go of every wl_buffer that the compositor has
    /// released, and so unpins; the one that is still read stays. The next frames make them again, which
    /// waits for the compositor's answer once for each. milliseconds::max(): never.
    std::chrono::milliseconds idle_after{1000};
    std::string name = "frames"; ///< of the memory, in /proc
};

class SHARE_API WaylandSwapchain final : public Swapchain {
public:
    struct Impl;

    /// `heaps` and `ledger` outlive the swapchain. Waits for the compositor's answers until the deadline.
    static Result<std::unique_ptr<WaylandSwapchain>> create(Display& display, wl_surface* surface,
                                                            const HeapTable& heaps, Ledger& ledger,
                                                            const SwapchainOptions& options,
                                                            Deadline deadline);
    ~WaylandSwapchain() override;

    const Layout& layout() const noexcept override;
    Result<Image> acquire(Deadline deadline) override;
    void discard(Image image) noexcept override;
    Result<void> present(Image image, std::span<const Rect> damage, FrameRecord record) override;
    Result<void> wait_paced(Deadline deadline) override;
    /// By wp_presentation where there is one (a frame that the compositor discarded gives `unavailable`),
    /// else by the frame callback.
    Result<void> wait_shown(Deadline deadline) override;
    Mechanism path() const noexcept override;

    /// Destroys the wl_buffers and dma-bufs of slots that the compositor does not use, now: the Display does
    /// it when the stream is idle. They are made again when needed. Returns how many went.
    std::size_t trim() noexcept;
    /// Slots whose buffer the compositor may read now.
    std::size_t held_by_compositor() const noexcept;
    /// Slots that have been used so far.
    std::size_t slots_in_use() const noexcept;
    /// The last frame that the compositor reported as shown.
    const std::optional<PresentationTime>& last_shown() const noexcept;

private:
    explicit WaylandSwapchain(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

} // namespace share::wayland_client
