// SPDX-License-Identifier: MIT
// Deadline: the moment until which a call may wait. There is no endless one: a dead peer must never hold
// anybody. Clock: CLOCK_MONOTONIC (std::chrono::steady_clock).
#pragma once

#include <algorithm>
#include <chrono>

namespace share {

class Deadline {
public:
    using Clock = std::chrono::steady_clock;
    explicit constexpr Deadline(Clock::time_point when) noexcept : when_(when) {}
    /// From now on; a wait beyond what the clock can count (some 290 years) ends with the clock.
    static Deadline in(std::chrono::milliseconds wait) noexcept {
        using std::chrono::milliseconds;
        const auto now = Clock::now();
        const auto most = std::chrono::floor<milliseconds>(Clock::time_point::max() - now);
        return Deadline(wait > most ? Clock::time_point::max() : now + std::max(wait, milliseconds(0)));
    }
    /// Do not wait at all.
    static constexpr Deadline none() noexcept { return Deadline(Clock::time_point::min()); }

    Clock::time_point when() const noexcept { return when_; }
    bool passed() const noexcept { return Clock::now() >= when_; }
    /// What is left in whole milliseconds, rounded up; 0 when passed. Fits poll(2).
    int remaining_ms() const noexcept {
        if (passed()) return 0;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(when_ - Clock::now()).count();
        return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000'000));
    }

private:
    Clock::time_point when_;
};

} // namespace share
