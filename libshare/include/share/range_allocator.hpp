// SPDX-License-Identifier: MIT
// RangeAllocator: gives out ranges of a line of units and takes them back; FitStrategy: which free range
// serves.
//
// It knows numbers only: all it keeps lies in its own tables and never in what it divides, so nobody who can
// write there can break it. Freed ranges merge with free neighbours at once: no two free ranges ever touch.
// A unit is whatever the caller says: 64 bytes, a page. For bytes of a Memory, with shared ownership and a
// lock, see Arena (arena.hpp), which is made of this.
// Cost: allocate and free take a fixed number of steps and calls of the strategy; Fit::best at most six
// levels of 64 (so O(log n) with a base of 64), Fit::good O(1). The tables grow by doubling; reserve() avoids
// that. Thread: none of its own; one caller at a time. Sources: Knuth, TAOCP 2.5 (boundary tags, best fit);
// Masmano et al., "TLSF: a new dynamic memory allocator for real-time systems", 2004 (Fit::good).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <share/api.hpp>

namespace share {

/// The number of a block in the allocator's table; stays the same from allocate() to free(). A free range is
/// named by the block before it: between two blocks there is at most one.
using RangeId = std::uint32_t;
inline constexpr RangeId no_range = 0;

/// An entry of the table: a block in use and the free range behind it. 32 bytes, as what an allocator costs
/// is mostly what its table misses in the caches. The block's own length is what is left up to the next one.
struct RangeEntry {
    std::uint32_t start = 0;              ///< of the block, in units
    std::uint32_t gap = 0;                ///< length of the free range behind it, in units
    RangeId before = 0, after = 0;        ///< neighbours by address
    std::uint32_t link[4] = {0, 0, 0, 0}; ///< while gap > 0: the strategy's own, for lists or trees
};

/// Chooses among the free ranges. To replace it, derive and give it to the RangeAllocator or Arena; `table`
/// is the allocator's, of which a strategy writes link only. A free range starts at
/// table[table[id].after].start - table[id].gap.
class SHARE_API FitStrategy {
public:
    virtual ~FitStrategy() = default;
    virtual std::string_view name() const noexcept = 0;
    /// Makes room for ids below `ids`: insert() must not fail. May throw std::bad_alloc.
    virtual void reserve(std::size_t ids) = 0;
    /// A free range of table[id].gap units, at least 1, is there.
    virtual void insert(RangeEntry* table, RangeId id) noexcept = 0;
    /// The free range, inserted before and unchanged since, is to be used or merged.
    virtual void remove(RangeEntry* table, RangeId id) noexcept = 0;
    /// The best free range of at least `units`, or no_range.
    virtual RangeId find(const RangeEntry* table, std::uint32_t units) const noexcept = 0;
    /// The one to try after `id` when alignment makes that too short, or no_range.
    virtual RangeId next(const RangeEntry* table, RangeId id) const noexcept = 0;
    /// Length of the longest free range; for statistics, so it may search.
    virtual std::uint32_t largest(const RangeEntry* table) const noexcept = 0;
};

enum class Fit : std::uint8_t {
    best, ///< the shortest free range that is long enough: least waste
    /// One at most 1/32 longer than need be, or longer when there is none: fewer steps (TLSF). May refuse
    /// from 65 units on though a range would do: of those in the class of the request itself eight are tried.
    good,
};

class SHARE_API RangeAllocator {
public:
    static constexpr std::uint32_t max_units = (1U << 31) - 1;
    /// How many ranges are tried for an aligned request before one is taken that is longer by the alignment.
    static constexpr int aligned_tries = 8;

    struct Allocation {
        RangeId id = no_range;
        std::uint32_t start = 0; ///< units
    };
    struct Range {
        std::uint32_t start = 0, units = 0;
        bool free = false;
    };
    struct Statistics {
        std::uint32_t units = 0;
        std::uint32_t used_units = 0;
        std::uint32_t free_units = 0;
        std::uint32_t largest_free = 0; ///< units
        std::uint32_t blocks = 0;
        std::uint32_t free_ranges = 0;
    };

    /// A line of `units` (1 to max_units) units, all free. May throw std::bad_alloc.
    explicit RangeAllocator(std::uint32_t units, Fit fit = Fit::best);
    RangeAllocator(std::uint32_t units, std::unique_ptr<FitStrategy> strategy);
    RangeAllocator(RangeAllocator&&) noexcept;
    RangeAllocator& operator=(RangeAllocator&&) noexcept;
    ~RangeAllocator();

    /// Makes the table large enough for `blocks` blocks.
    void reserve(std::size_t blocks);
    /// `units` at least 1, at a multiple of `alignment` (a power of two). Nothing when no range is found.
    /// For alignment above 1 the first of aligned_tries candidates that fits is taken, else one of units +
    /// alignment - 1: so it may fail though a later candidate would have fitted. May throw std::bad_alloc.
    std::optional<Allocation> allocate(std::uint32_t units, std::uint32_t alignment = 1);
    /// `id` must be one that allocate() gave and that was not freed since.
    void free(RangeId id) noexcept;

    /// Where the block `id` is.
    Range block(RangeId id) const noexcept;
    Statistics statistics() const noexcept;
    std::string_view strategy() const noexcept;
    /// All ranges by address, for reports and tests. O(n).
    std::vector<Range> ranges() const;

    class Impl;

private:
    std::unique_ptr<Impl> impl_;
};

} // namespace share
