// SPDX-License-Identifier: MIT
#include "presentation.hpp"

#include <algorithm>

namespace share::wayland_client {

const wp_presentation_feedback_listener PresentationTracker::listener = {
    .sync_output = [](void*, struct wp_presentation_feedback*, wl_output*) noexcept {},
    .presented =
        [](void* data, struct wp_presentation_feedback*, std::uint32_t sec_hi, std::uint32_t sec_lo,
           std::uint32_t nsec, std::uint32_t refresh, std::uint32_t seq_hi, std::uint32_t seq_lo,
           std::uint32_t flags) noexcept {
            auto& pending = *static_cast<Pending*>(data);
            pending.time = {pending.frame,
                            pending.tracker->clock_id_,
                            (std::uint64_t{sec_hi} << 32) | sec_lo,
                            nsec,
                            refresh,
                            (std::uint64_t{seq_hi} << 32) | seq_lo,
                            (flags & WP_PRESENTATION_FEEDBACK_KIND_ZERO_COPY) != 0};
            pending.tracker->settle(pending, true);
        },
    .discarded =
        [](void* data, struct wp_presentation_feedback*) noexcept {
            auto& pending = *static_cast<Pending*>(data);
            pending.tracker->settle(pending, false);
        },
};

void PresentationTracker::follow(wl_surface* surface, std::uint64_t frame) {
    // A compositor that never tells must not make us grow: the oldest questions are given up.
    constexpr std::size_t most_pending = 64;
    if (pending_.size() >= most_pending) pending_.erase(pending_.begin());
    auto pending = std::make_unique<Pending>();
    pending->tracker = this;
    pending->frame = frame;
    pending->object.reset(::wp_presentation_feedback(presentation_, surface));
    if (!pending->object) return;
    wp_presentation_feedback_add_listener(pending->object.get(), &listener, pending.get());
    pending_.push_back(std::move(pending));
}

void PresentationTracker::settle(const Pending& pending, bool shown) {
    settled_ = std::max(settled_, pending.frame);
    if (shown)
        last_ = pending.time;
    else
        discarded_ = std::max(discarded_, pending.frame);
    std::erase_if(pending_, [&](const auto& kept) { return kept.get() == &pending; });
}

} // namespace share::wayland_client
