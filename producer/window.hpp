// SPDX-License-Identifier: MIT
// Window: what the show loop needs of a window, on whichever display there is.
//
// Owner: main(). Thread: one. Errors: as the display libraries'; a `disconnected` ends the show.
#pragma once

#include <memory>
#include <span>
#include <string>

#include <share/heap.hpp>
#include <share/swapchain.hpp>

#include "options.hpp"

namespace producer {

/// What all windows are made of. All of it outlives the window.
struct Stage {
    const share::HeapTable& heaps;
    share::Ledger& ledger;
    const Options& options;
};

class Window {
public:
    virtual ~Window() = default;
    /// The swapchain for frames of that size and these formats: the one before, if it fits.
    virtual share::Result<share::Swapchain*> swapchain_for(const share::SourceInfo& info,
                                                           share::Deadline deadline) = 0;
    /// To be called just before present(): places the frame in the window.
    virtual share::Result<void> prepare_present() = 0;
    /// Serves events until something happened, one of `wake_fds` is readable or the deadline passed (all:
    /// success).
    virtual share::Result<void> serve(share::Deadline deadline, std::span<const int> wake_fds) = 0;

    /// Buffers that somebody else made (a camera's). Whether the display lists the format:
    virtual bool takes(share::Fourcc format) const = 0;
    /// Shows such a Buffer and holds an Attachment until the display has done with it. Errors: unsupported.
    virtual share::Result<void> present(const std::shared_ptr<share::Buffer>& buffer,
                                        share::FrameRecord record, share::Deadline deadline) = 0;
    /// Waits until the last of them was shown.
    virtual share::Result<void> wait_shown(share::Deadline deadline) = 0;
    /// The person closed it: close button, q, Escape.
    virtual bool closed() const noexcept = 0;
};

/// `first` is the picture that the window opens with.
share::Result<std::unique_ptr<Window>> open_wayland_window(const Stage& stage, const share::SourceInfo& first,
                                                           share::Deadline deadline);
#ifdef PRODUCER_X11
share::Result<std::unique_ptr<Window>> open_x11_window(const Stage& stage, const share::SourceInfo& first,
                                                       share::Deadline deadline);
#endif

} // namespace producer
