// SPDX-License-Identifier: MIT
#include "surface_feed.hpp"

#include <limits>

#include <fmt/format.h>

namespace share::wayland_client {

const wl_callback_listener SurfaceFeed::frame_listener = {
    .done = [](void* data, wl_callback*,
               std::uint32_t) noexcept { static_cast<SurfaceFeed*>(data)->frame_callback_.reset(); },
};

SurfaceFeed::SurfaceFeed(Display& display, wl_surface* surface, Ledger& ledger)
    : display_(display),
      surface_(surface),
      ledger_(ledger),
      on_queue_(wrap_proxy(surface, display.queue())),
      presentation_(display.impl().presentation.get(), display.impl().clock_id) {}

void SurfaceFeed::announce(std::span<const Rect> damage) {
    constexpr auto all = std::numeric_limits<std::int32_t>::max();
    // Older surfaces count damage in surface coordinates, which only their owner can tell from pixels.
    if (wl_surface_get_version(surface_) < WL_SURFACE_DAMAGE_BUFFER_SINCE_VERSION) {
        wl_surface_damage(surface_, 0, 0, all, all);
        return;
    }
    if (damage.empty()) wl_surface_damage_buffer(surface_, 0, 0, all, all);
    for (const auto& rect : damage)
        wl_surface_damage_buffer(surface_, rect.x, rect.y, rect.width, rect.height);
}

void SurfaceFeed::ask_for_frame() {
    frame_callback_.reset(wl_surface_frame(on_queue_.get()));
    if (frame_callback_) wl_callback_add_listener(frame_callback_.get(), &frame_listener, this);
}

void SurfaceFeed::note_zero_copy() {
    const auto& last = presentation_.last();
    if (!last || last->zero_copy == zero_copy_told_) return;
    zero_copy_told_ = last->zero_copy;
    ledger_.note("presentation", fmt::format("from frame {} on the display reads our buffer itself: {}",
                                             last->frame, last->zero_copy ? "yes (zero_copy)" : "no longer"));
}

void SurfaceFeed::commit(HeldBuffer& buffer, Attachment attachment, std::span<const Rect> damage,
                         FrameRecord record, Mechanism path, const std::string& reason) {
    buffer.hold(std::move(attachment));
    ++frame_;
    wl_surface_attach(surface_, buffer.object(), 0, 0);
    announce(damage);
    ask_for_frame();
    if (display_.impl().presentation) presentation_.follow(surface_, frame_);
    wl_surface_commit(surface_);
    // A full socket is flushed by the next wait; a broken one gives its error there.
    wl_display_flush(display_.native());
    record.frame = frame_;
    record.steps.push_back({"share", path, By::us, 0, 0, reason});
    record.steps.push_back({"present", path, By::compositor, std::nullopt, std::nullopt,
                            "what another program does with the buffer is not visible from here"});
    ledger_.add(std::move(record));
    note_zero_copy();
}

Result<void> SurfaceFeed::wait_paced(Deadline deadline) {
    auto done = display_.wait_until([this] { return !frame_callback_; }, deadline);
    if (!done && done.error().code == Code::timed_out)
        return make_error(Code::timed_out, "waiting until the compositor wants a frame",
                          "no frame callback came; a hidden window gets none");
    return done;
}

Result<void> SurfaceFeed::wait_shown(Deadline deadline) {
    const char* const operation = "waiting until the frame is shown";
    if (frame_ == 0) return make_error(Code::invalid_argument, operation, "nothing was presented");
    if (!display_.impl().presentation) return wait_paced(deadline);
    auto told = display_.wait_until([this] { return presentation_.settled(frame_); }, deadline);
    note_zero_copy();
    if (!told && told.error().code == Code::timed_out)
        return make_error(Code::timed_out, operation,
                          "the compositor did not tell; the window may be hidden");
    if (!told) return told;
    if (presentation_.discarded(frame_))
        return make_error(Code::unavailable, operation, "the compositor discarded the frame unseen");
    return {};
}

} // namespace share::wayland_client
