// SPDX-License-Identifier: MIT
// Reading: a bracketed and, where the client can truncate its file, guarded look at a buffer's pixels.
// One thread: the compositor's. Never waits beyond the deadline. The SIGBUS guard must be installed by the
// program before memory that can shrink is read.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "scene/region.hpp"

#include <share/buffer.hpp>
#include <share/sigbus_guard.hpp>

namespace compositor::render {

/// How long drawing waits for a client's fence or a writer before the old pixels stay.
share::Deadline reading_deadline();

/// Errors: corrupt when the file behind the buffer is shorter than the layout needs. Costs a system call for
/// memory that can shrink, nothing otherwise.
share::Result<void> check_not_truncated(const share::Buffer& buffer);

/// Adds new pixels (buffer coordinates, clipped) to those that a copy of the buffer lacks. Bounded in boxes.
void add_stale(scene::Region& stale, const scene::Region& damage, const share::Buffer& buffer);

class [[nodiscard]] Reading {
public:
    /// Errors: corrupt (truncated), busy, timed_out, unavailable (no SIGBUS guard).
    static share::Result<Reading> begin(const std::shared_ptr<share::Buffer>& buffer,
                                        share::Deadline deadline);
    const std::byte* plane(std::size_t i) const noexcept { return mapping_.plane(i).data(); }
    /// Ends it. Errors: corrupt when bytes were missing while they were read.
    share::Result<void> end();

private:
    explicit Reading(share::Mapping mapping) : mapping_(std::move(mapping)) {}
    share::Mapping mapping_;
    std::array<std::optional<share::GuardedRegion>, share::max_planes> guards_;
};

} // namespace compositor::render
