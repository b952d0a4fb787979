// SPDX-License-Identifier: MIT
// SurfaceFeed: what it takes to show wl_buffers on one wl_surface: attach, damage, commit, and then the frame
// callback and the presentation feedback of the last commit. For the swapchain and the presenter.
//
// Never moved: listeners know its address. The Display and the surface outlive it. Thread: the Display's.
// Source: wayland.xml (wl_surface), presentation-time.xml.
#pragma once

#include <span>

#include <share/ledger.hpp>
#include <share/swapchain.hpp>

#include "display_impl.hpp"
#include "presentation.hpp"

namespace share::wayland_client {

class SurfaceFeed {
public:
    SurfaceFeed(Display& display, wl_surface* surface, Ledger& ledger);
    SurfaceFeed(const SurfaceFeed&) = delete;
    SurfaceFeed& operator=(const SurfaceFeed&) = delete;
    /// False when memory ran out while it was made.
    bool usable() const noexcept { return on_queue_ != nullptr; }

    /// Shows the buffer, holds the attachment until its release, and puts the record into the ledger with the
    /// steps "share" and "present". Never waits.
    void commit(HeldBuffer& buffer, Attachment attachment, std::span<const Rect> damage, FrameRecord record,
                Mechanism path, const std::string& reason);
    std::uint64_t frame() const noexcept { return frame_; } ///< commits so far

    Result<void> wait_paced(Deadline deadline);
    Result<void> wait_shown(Deadline deadline);
    const std::optional<PresentationTime>& last_shown() const noexcept { return presentation_.last(); }

private:
    static const wl_callback_listener frame_listener;
    void announce(std::span<const Rect> damage);
    void ask_for_frame();
    void note_zero_copy();

    Display& display_;
    wl_surface* surface_;
    Ledger& ledger_;
    Wrapper<wl_surface> on_queue_;
    Proxy<wl_callback> frame_callback_; ///< of the last commit, until it is done
    PresentationTracker presentation_;
    std::uint64_t frame_ = 0;
    bool zero_copy_told_ = false;
};

} // namespace share::wayland_client
