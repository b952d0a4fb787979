// SPDX-License-Identifier: MIT
// How a CPU mapping is cached, measured: the kernel has no interface that tells it.
//
// Cached memory is read as fast as any other once it is in the cache; memory that is not cached is read from
// far away each time, tens of times slower, and writes to it are fast only where the CPU combines them. Where
// the numbers lie between these, the answer is `unknown`: a wrong answer costs more than none.
// Units are nanoseconds for one pass over the same number of bytes. Thread: any.
#pragma once

#include <share/api.hpp>
#include <share/heap.hpp>

namespace share {

/// The best of several passes over warm memory: the memory asked about, and ordinary memory beside it.
struct CacheTimes {
    double read = 0, write = 0;
    double ordinary_read = 0, ordinary_write = 0;
};
/// What the times mean; a pure function.
SHARE_API CachePolicy judge_cache(const CacheTimes& times) noexcept;

/// Takes 16 KiB of the heap (or one page, where that is more), reads and writes 16 KiB of them some times
/// (below a millisecond when they are cached, some milliseconds when not) and gives them back. Errors:
/// unsupported (no CPU can map it), as Heap::allocate and Memory::view.
SHARE_API Result<CacheTimes> time_cache(Heap& heap);
/// judge_cache(time_cache(heap)); `unknown` where nothing could be measured. Fills `traits` in.
SHARE_API void measure_cache(Heap& heap, Traits& traits);

} // namespace share
