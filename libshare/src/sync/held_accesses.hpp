// SPDX-License-Identifier: MIT
// HeldAccesses: threads that wait for one guarded buffer. Of fixed size: it is filled while any thread of the
// program, one inside malloc too, may be among them. Thread: locked by its owner.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

#include "os/userfault.hpp"

namespace share::detail {

class HeldAccesses {
public:
    using Clock = std::chrono::steady_clock;
    struct Entry {
        os::HeldAccess access;
        Clock::time_point since;
        bool confirmed = true; ///< came again after the last doubt()
    };

    void add(const os::HeldAccess& access, Clock::time_point now) noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            if (entries_[i].access.thread == access.thread) {
                entries_[i] = {access, entries_[i].since, true};
                return;
            }
        if (count_ < entries_.size()) entries_[count_++] = {access, now, true};
    }
    void clear() noexcept { count_ = 0; }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    const Entry& oldest() const noexcept {
        return *std::min_element(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count_),
                                 [](const Entry& a, const Entry& b) { return a.since < b.since; });
    }
    /// Whoever really waits is woken after this, and comes again at once.
    void doubt() noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            entries_[i].confirmed = false;
    }
    void drop_unconfirmed() noexcept {
        const auto end = entries_.begin() + static_cast<std::ptrdiff_t>(count_);
        count_ = static_cast<std::size_t>(
            std::remove_if(entries_.begin(), end, [](const Entry& e) { return !e.confirmed; }) -
            entries_.begin());
    }

private:
    std::array<Entry, 16> entries_{};
    std::size_t count_ = 0;
};

} // namespace share::detail
