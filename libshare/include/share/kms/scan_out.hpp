// SPDX-License-Identifier: MIT
// ScanOut: one display (connector, CRTC and its primary plane), driven by atomic commits.
//
// Takes DRM master where it can, remembers what was shown, and puts it back at the end. Every commit is
// tested by the device first. A framebuffer on its way to the display or on it has an Attachment (reading) of
// its Buffer, a capture's target one (writing): a producer that maps such a buffer waits or gets `busy`.
// Every wait has a deadline. Thread: one ScanOut belongs to one thread; several of one Device share its
// events and so its thread. Source: drm-kms.rst (atomic mode setting, writeback connectors), drm_mode.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/kms/framebuffer.hpp>

namespace share::kms {

struct ScanOutOptions {
    std::uint32_t connector = 0;         ///< an id; 0: the first that is connected
    std::uint32_t width = 0, height = 0; ///< a mode of this size; 0: the preferred one
};

class SHARE_API ScanOut {
public:
    /// When a picture appeared, by the device's clock (CLOCK_MONOTONIC), and its number.
    struct Flip {
        std::uint32_t sequence = 0;
        std::chrono::microseconds time{};
    };

    /// Shows nothing yet. Errors: unsupported (no atomic modesetting), unavailable (nothing connected, no
    /// such mode: lists what there is), denied (another program is DRM master).
    static Result<std::unique_ptr<ScanOut>> create(std::shared_ptr<Device> device,
                                                   const ScanOutOptions& options = {});
    /// Restores what was shown before.
    ~ScanOut();
    ScanOut(const ScanOut&) = delete;
    ScanOut& operator=(const ScanOut&) = delete;

    const Mode& mode() const noexcept;
    /// "Virtual-1".
    const std::string& connector() const noexcept;
    std::uint32_t crtc() const noexcept;

    /// Would the device show it? Changes nothing. The picture is put at the top left, never scaled.
    Result<void> test(const Framebuffer& framebuffer) const;
    /// Shows it at the next refresh, and returns. Errors: busy (an earlier commit waits for its refresh, or
    /// the buffer is being written), the device's refusal.
    Result<void> commit(std::shared_ptr<Framebuffer> framebuffer);
    /// Until the last commit is on the display; the picture before it is released then.
    /// Errors: timed_out (the commit stays under way), invalid_argument (nothing was committed).
    Result<Flip> wait_flip(Deadline deadline);
    /// commit() and wait_flip().
    Result<Flip> show(std::shared_ptr<Framebuffer> framebuffer, Deadline deadline);
    /// Shows it, and has a writeback connector write what is scanned out into `target`, which has the mode's
    /// size. Waits for its fence. After `timed_out` the target stays attached until this object ends.
    Result<Flip> capture(std::shared_ptr<Framebuffer> framebuffer, std::shared_ptr<Framebuffer> target,
                         Deadline deadline);
    /// What is on the display; null at first.
    const std::shared_ptr<Framebuffer>& shown() const noexcept;

private:
    struct Impl;
    explicit ScanOut(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

} // namespace share::kms
