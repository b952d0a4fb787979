// SPDX-License-Identifier: MIT
// FenceWait: tells when fences are done or a deadline has passed, from the display's event loop. Owned by who
// waits; destroying it ends the waiting. It may be destroyed in its own callback. Thread: the display's.
#pragma once

#include <wayland-server-core.h>

#include <array>
#include <memory>
#include <vector>

#include <share/deadline.hpp>
#include <share/fence.hpp>

namespace compositor::wayland {

class FenceWait {
public:
    class Listener {
    public:
        virtual ~Listener() = default;
        /// Called once for each fence that is done, and at the deadline: look again at what is left.
        virtual void fences_changed() = 0;
    };
    /// Null when the event loop has no room for another source.
    static std::unique_ptr<FenceWait> create(wl_event_loop* loop, const std::vector<share::Fence>& fences,
                                             share::Deadline deadline, Listener& listener);
    ~FenceWait();
    FenceWait(const FenceWait&) = delete;
    FenceWait& operator=(const FenceWait&) = delete;

private:
    explicit FenceWait(Listener& listener) : listener_(listener) {}
    static int fence_done(int fd, std::uint32_t mask, void* self) noexcept;
    static int timed_out(void* self) noexcept;
    struct Source {
        wl_event_source* source = nullptr;
        share::Fence fence; ///< keeps the fd open
    };
    Listener& listener_;
    std::vector<Source> sources_;
    wl_event_source* timer_ = nullptr;
};

} // namespace compositor::wayland
