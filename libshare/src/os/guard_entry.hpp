// SPDX-License-Identifier: MIT
// GuardEntry: one place in the table of a signal's handler: the SIGBUS guard's, or the guards' SIGSEGV
// reporter's. Written by the thread that owns the place, read by a
// signal handler on any thread: lock-free atomics only. Source: signal-safety(7).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace share::os {

/// Addresses from `begin` up to `end`, which is the first beyond.
struct AddressRange {
    std::uintptr_t begin = 0, end = 0;
};

// `generation` is odd while begin and end are being written: a handler on another thread must never join the
// begin of one region to the end of the next one in the place.
struct GuardEntry {
    std::atomic<bool> taken{false};
    std::atomic<std::uint32_t> generation{0};
    std::atomic<std::uintptr_t> begin{0};
    std::atomic<std::uintptr_t> end{0};
    std::atomic<std::uint32_t> tripped_in{1}; ///< the generation; 1 is odd and so nobody's

    void write(AddressRange range) noexcept {
        generation.fetch_add(1, std::memory_order_acq_rel);
        begin.store(range.begin, std::memory_order_release);
        end.store(range.end, std::memory_order_release);
        generation.fetch_add(1, std::memory_order_release);
    }

    struct Seen {
        std::uint32_t generation = 0;
        AddressRange range;
    };
    /// Nothing when the place was written meanwhile: then it guards nothing that anybody reads now, for
    /// whoever faults keeps his own guard in place. `halfway` is where a test writes.
    template<class Halfway>
    std::optional<Seen> read(Halfway halfway) const noexcept {
        Seen seen;
        seen.generation = generation.load(std::memory_order_acquire);
        seen.range.begin = begin.load(std::memory_order_acquire);
        halfway();
        seen.range.end = end.load(std::memory_order_acquire);
        if (seen.generation % 2 != 0 || generation.load(std::memory_order_acquire) != seen.generation)
            return std::nullopt;
        return seen;
    }
    std::optional<Seen> read() const noexcept {
        return read([] {});
    }
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

} // namespace share::os
