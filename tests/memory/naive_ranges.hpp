// SPDX-License-Identifier: MIT
// NaiveRanges: free ranges in a map by start; every question is answered by looking at all of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <share/range_allocator.hpp>

namespace testing {

struct NaiveRanges {
    explicit NaiveRanges(std::uint32_t units) : free{{0, units}} {}
    std::map<std::uint32_t, std::uint32_t> free; ///< start to length

    /// The free range that holds all of these units.
    std::map<std::uint32_t, std::uint32_t>::const_iterator holding(std::uint32_t start,
                                                                   std::uint32_t units) const {
        auto after = free.upper_bound(start);
        if (after == free.begin()) return free.end();
        const auto at = std::prev(after);
        return std::uint64_t{at->first} + at->second >= std::uint64_t{start} + units ? at : free.end();
    }
    /// The shortest length of at least `units`.
    std::optional<std::uint32_t> shortest(std::uint32_t units) const {
        std::optional<std::uint32_t> best;
        for (const auto& [start, length] : free)
            if (length >= units && (!best || length < *best)) best = length;
        return best;
    }
    std::uint32_t largest() const {
        std::uint32_t most = 0;
        for (const auto& [start, length] : free)
            most = std::max(most, length);
        return most;
    }
    std::uint64_t free_units() const {
        std::uint64_t sum = 0;
        for (const auto& [start, length] : free)
            sum += length;
        return sum;
    }
    bool take(std::uint32_t start, std::uint32_t units) {
        const auto from = holding(start, units);
        if (from == free.end()) return false;
        const auto [first, length] = *from;
        free.erase(from);
        if (start > first) free.emplace(first, start - first);
        if (first + length > start + units) free.emplace(start + units, first + length - start - units);
        return true;
    }
    void give(std::uint32_t start, std::uint32_t units) {
        const auto at = free.emplace(start, units).first;
        if (const auto after = std::next(at); after != free.end() && after->first == start + units) {
            at->second += after->second;
            free.erase(after);
        }
        if (at == free.begin()) return;
        if (const auto before = std::prev(at); before->first + before->second == start) {
            before->second += at->second;
            free.erase(at);
        }
    }
    /// Are these the free ones among them, and do all of them lie without a gap?
    bool same_as(const std::vector<share::RangeAllocator::Range>& ranges) const {
        auto at = free.begin();
        std::uint32_t end = 0;
        for (const auto& range : ranges) {
            if (range.start != end || range.units == 0) return false;
            end += range.units;
            if (!range.free) continue;
            if (at == free.end() || at->first != range.start || at->second != range.units) return false;
            ++at;
        }
        return at == free.end();
    }
};

} // namespace testing
