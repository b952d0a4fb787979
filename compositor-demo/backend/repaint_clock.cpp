// SPDX-License-Identifier: MIT
#include "backend/repaint_clock.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace compositor::backend {

namespace {

constexpr std::int64_t second = 1'000'000'000;

std::timespec now() {
    std::timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time;
}
std::int64_t in_ns(std::timespec time) {
    return time.tv_sec * second + time.tv_nsec;
}

} // namespace

RepaintClock::RepaintClock(wl_event_loop* loop, int refresh_mhz, Listener& listener)
    : loop_(loop), listener_(listener), phase_ns_(in_ns(now())) {
    if (refresh_mhz > 0)
        period_ns_ =
            static_cast<std::uint32_t>(std::min<std::int64_t>(1000 * second / refresh_mhz, UINT32_MAX));
}

share::Result<std::unique_ptr<RepaintClock>> RepaintClock::create(wl_event_loop* loop, int refresh_mhz,
                                                                  Listener& listener) {
    std::unique_ptr<RepaintClock> clock(new RepaintClock(loop, refresh_mhz, listener));
    clock->timer_ = share::UniqueFd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!clock->timer_) return share::error_from_errno(errno, "making the output's clock");
    clock->timer_source_ =
        wl_event_loop_add_fd(loop, clock->timer_.get(), WL_EVENT_READABLE, on_timer, clock.get());
    if (!clock->timer_source_)
        return share::error_from_errno(errno, "adding the output's clock to the event loop");
    return clock;
}

RepaintClock::~RepaintClock() {
    if (idle_source_) wl_event_source_remove(idle_source_);
    if (timer_source_) wl_event_source_remove(timer_source_);
}

void RepaintClock::request() {
    if (requested_) return;
    requested_ = true;
    // An idle task that adds an idle task keeps the loop from ever serving clients: ask the timer then.
    if (period_ns_ == 0 && !firing_) idle_source_ = wl_event_loop_add_idle(loop_, on_idle, this);
    if (!idle_source_) arm_timer();
}

void RepaintClock::arm_timer() {
    itimerspec when{};
    when.it_value.tv_nsec = 1; // in the past: at once
    if (period_ns_ != 0) {
        const std::int64_t since = in_ns(now()) - phase_ns_;
        const std::int64_t next = phase_ns_ + (since / period_ns_ + 1) * period_ns_;
        when.it_value = {next / second, next % second};
    }
    timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void RepaintClock::fire() {
    requested_ = false;
    firing_ = true;
    listener_.tick(now());
    firing_ = false;
}

void RepaintClock::on_idle(void* data) {
    auto* self = static_cast<RepaintClock*>(data);
    self->idle_source_ = nullptr; // libwayland frees it
    self->fire();
}

int RepaintClock::on_timer(int fd, std::uint32_t, void* data) {
    std::uint64_t count = 0;
    if (::read(fd, &count, sizeof count) == sizeof count) static_cast<RepaintClock*>(data)->fire();
    return 0;
}

} // namespace compositor::backend
