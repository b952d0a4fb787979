// SPDX-License-Identifier: MIT
// IdleStream: what a stream does when it has shown nothing new for a while: its wl_buffers that the
// compositor has released go, and with them what they pin. The Display looks after all of its streams without
// any thread: whenever it dispatches, and when the program ticks.
//
// Owner: the stream, which registers itself for its life; the Display outlives it. Thread: the Display's.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include <share/deadline.hpp>

namespace share::wayland_client {

class IdleStream;

class IdleStreams {
public:
    /// Unpins what is idle at `now`.
    void tick(Deadline::Clock::time_point now) noexcept;
    /// When the next one becomes idle.
    std::optional<Deadline> next() const noexcept;

private:
    friend class IdleStream;
    std::vector<IdleStream*> all_;
};

class IdleStream {
public:
    using Clock = Deadline::Clock;
    explicit IdleStream(IdleStreams& all, std::chrono::milliseconds after) : all_(all), after_(after) {
        all_.all_.push_back(this);
    }
    virtual ~IdleStream() { std::erase(all_.all_, this); }
    IdleStream(const IdleStream&) = delete;
    IdleStream& operator=(const IdleStream&) = delete;

    /// Something new is, or is about to be, shown.
    void touch() noexcept {
        due_ = Deadline::in(after_).when();
        idle_ = false;
    }
    void set_idle_after(std::chrono::milliseconds after) noexcept {
        after_ = after;
        touch();
    }

private:
    friend class IdleStreams;
    /// Lets go of what the compositor has released; called again while the stream stays idle, because some
    /// compositors release late.
    virtual void unpin() noexcept = 0;

    IdleStreams& all_;
    std::chrono::milliseconds after_;
    Clock::time_point due_ = Clock::time_point::max(); ///< nothing shown yet: nothing to let go of
    bool idle_ = false;
};

inline void IdleStreams::tick(Deadline::Clock::time_point now) noexcept {
    for (auto* const stream : all_) {
        if (now < stream->due_) continue;
        stream->idle_ = true;
        stream->unpin();
    }
}

inline std::optional<Deadline> IdleStreams::next() const noexcept {
    auto first = Deadline::Clock::time_point::max();
    for (const auto* const stream : all_)
        if (!stream->idle_) first = std::min(first, stream->due_);
    if (first == Deadline::Clock::time_point::max()) return std::nullopt;
    return Deadline(first);
}

} // namespace share::wayland_client
