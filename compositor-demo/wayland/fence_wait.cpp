// SPDX-License-Identifier: MIT
#include "wayland/fence_wait.hpp"

#include <algorithm>

namespace compositor::wayland {

std::unique_ptr<FenceWait> FenceWait::create(wl_event_loop* loop, const std::vector<share::Fence>& fences,
                                             share::Deadline deadline, Listener& listener) {
    std::unique_ptr<FenceWait> wait(new FenceWait(listener));
    wait->timer_ = wl_event_loop_add_timer(loop, &timed_out, wait.get());
    // 0 would disarm the timer.
    if (!wait->timer_ || wl_event_source_timer_update(wait->timer_, std::max(1, deadline.remaining_ms())) < 0)
        return nullptr;
    for (const share::Fence& fence : fences) {
        if (fence.fd() < 0) continue;
        wl_event_source* source =
            wl_event_loop_add_fd(loop, fence.fd(), WL_EVENT_READABLE, &fence_done, wait.get());
        if (!source) return nullptr;
        wait->sources_.push_back({source, fence});
    }
    return wait;
}

FenceWait::~FenceWait() {
    if (timer_) wl_event_source_remove(timer_);
    for (Source& source : sources_)
        if (source.source) wl_event_source_remove(source.source);
}

int FenceWait::fence_done(int fd, std::uint32_t, void* data) noexcept {
    auto* self = static_cast<FenceWait*>(data);
    // A fence stays readable: without its source the loop would spin while others are waited for.
    for (Source& source : self->sources_)
        if (source.source && source.fence.fd() == fd) {
            wl_event_source_remove(source.source);
            source.source = nullptr;
        }
    self->listener_.fences_changed();
    return 0;
}

int FenceWait::timed_out(void* data) noexcept {
    static_cast<FenceWait*>(data)->listener_.fences_changed();
    return 0;
}

} // namespace compositor::wayland
