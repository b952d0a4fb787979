// SPDX-License-Identifier: MIT
// PresentationTracker: which frames wp_presentation says were shown, and when. Thread: the Display's.
// Source: presentation-time.xml.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <share/wayland_client/presentation_time.hpp>

#include "proxy.hpp"

namespace share::wayland_client {

class PresentationTracker {
public:
    /// Both borrowed; the objects made land on the wrapper's queue.
    PresentationTracker(wp_presentation* presentation, std::optional<std::uint32_t> clock_id)
        : presentation_(presentation), clock_id_(clock_id.value_or(0)) {}

    /// Between attach and commit: asks what becomes of the frame.
    void follow(wl_surface* surface, std::uint64_t frame);
    /// True once the compositor has told.
    bool settled(std::uint64_t frame) const noexcept { return settled_ >= frame; }
    bool discarded(std::uint64_t frame) const noexcept { return discarded_ == frame; }
    const std::optional<PresentationTime>& last() const noexcept { return last_; }

private:
    struct Pending {
        PresentationTracker* tracker;
        std::uint64_t frame;
        Proxy<struct wp_presentation_feedback> object;
        PresentationTime time;
    };
    static const wp_presentation_feedback_listener listener;
    void settle(const Pending& pending, bool shown);

    wp_presentation* presentation_;
    std::uint32_t clock_id_;
    std::vector<std::unique_ptr<Pending>> pending_;
    std::uint64_t settled_ = 0, discarded_ = 0;
    std::optional<PresentationTime> last_;
};

} // namespace share::wayland_client
