// SPDX-License-Identifier: MIT
// RepaintClock: calls back at the next multiple of the refresh period after it was asked, or at once (an idle
// task of the loop) when there is no period. A timerfd, because wl_event_loop's own timers count whole
// milliseconds and 60 Hz is none. One thread: the loop's.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>

#include <wayland-server-core.h>

#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace compositor::backend {

class RepaintClock {
public:
    class Listener {
    public:
        virtual ~Listener() = default;
        virtual void tick(std::timespec when) = 0;
    };
    /// refresh_mhz 0: no period. Errors: limit (fds).
    static share::Result<std::unique_ptr<RepaintClock>> create(wl_event_loop* loop, int refresh_mhz,
                                                               Listener& listener);
    ~RepaintClock();
    RepaintClock(const RepaintClock&) = delete;
    RepaintClock& operator=(const RepaintClock&) = delete;

    /// One tick later, however often it is asked until then.
    void request();
    std::uint32_t period_ns() const noexcept { return period_ns_; }

private:
    RepaintClock(wl_event_loop* loop, int refresh_mhz, Listener& listener);
    void arm_timer();
    void fire();
    static void on_idle(void* data);
    static int on_timer(int fd, std::uint32_t mask, void* data);

    wl_event_loop* loop_;
    Listener& listener_;
    std::uint32_t period_ns_ = 0;
    std::int64_t phase_ns_ = 0; ///< the first tick
    share::UniqueFd timer_;
    wl_event_source* timer_source_ = nullptr;
    wl_event_source* idle_source_ = nullptr;
    bool requested_ = false;
    bool firing_ = false;
};

} // namespace compositor::backend
