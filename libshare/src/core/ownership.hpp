// SPDX-License-Identifier: MIT
// Ownership: who may touch a Buffer now, inside this process. Many readers or one writer; CPU mappings and
// attachments count alike. Waits have a deadline. Thread: any.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <share/deadline.hpp>
#include <share/memory.hpp>

namespace share::detail {

/// Told whenever a Buffer becomes free; a Pool shares one among its buffers.
struct IdleSignal {
    std::mutex lock;
    std::condition_variable changed;
    void notify() {
        const std::lock_guard guard(lock);
        changed.notify_all();
    }
};

class Ownership {
public:
    /// False when the deadline passed; `holder` then names one who is in the way.
    bool acquire(Access access, const std::string& who, Deadline deadline, std::string& holder) {
        std::unique_lock guard(lock_);
        while (!free_for(access)) {
            holder = holders_.empty() ? std::string("a CPU mapping") : holders_.front();
            if (deadline.passed()) return false;
            changed_.wait_until(guard, deadline.when());
        }
        if (!who.empty()) holders_.push_back(who); // first: should it throw, nothing is held yet
        if (writes(access))
            writer_ = true;
        else
            ++readers_;
        return true;
    }

    void release(Access access, const std::string& who) noexcept {
        std::shared_ptr<IdleSignal> tell;
        {
            const std::lock_guard guard(lock_);
            if (writes(access))
                writer_ = false;
            else
                --readers_;
            const auto at = std::find(holders_.begin(), holders_.end(), who);
            if (at != holders_.end()) holders_.erase(at);
            changed_.notify_all();
            if (idle_locked()) tell = signal_;
        }
        if (tell) tell->notify();
    }

    bool idle() const {
        const std::lock_guard guard(lock_);
        return idle_locked();
    }
    void set_signal(std::shared_ptr<IdleSignal> signal) {
        const std::lock_guard guard(lock_);
        signal_ = std::move(signal);
    }

private:
    bool idle_locked() const noexcept { return !writer_ && readers_ == 0; }
    bool free_for(Access access) const noexcept { return !writer_ && (!writes(access) || readers_ == 0); }

    mutable std::mutex lock_;
    std::condition_variable changed_;
    unsigned readers_ = 0;
    bool writer_ = false;
    std::vector<std::string> holders_; ///< of attachments
    std::shared_ptr<IdleSignal> signal_;
};

} // namespace share::detail
