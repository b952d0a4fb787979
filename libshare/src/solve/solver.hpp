// SPDX-License-Identifier: MIT
// The needs of several parties merged into one, the formats and heaps that are left, and what cannot be met.
// Thread: pure functions over data that the caller keeps alive.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <share/negotiate.hpp>

namespace share::solve {

/// Parties by pointer, sorted by name: subsets are tried without copying, and no answer depends on their
/// order.
using Parties = std::span<const Requirements* const>;

/// A pair that every party takes. Sums over those that name it.
struct CommonPair {
    FormatModifier pair;
    std::string_view device; ///< with modifier::none
    std::uint64_t rank = 0;
    bool good = false;
};
/// Sorted by pair and device. A single entry with format 0 when no party has an opinion.
std::vector<CommonPair> common_pairs(Parties parties);

/// What all parties ask of everything but format and heap.
struct Merged {
    bool possible = true; ///< false: needs that contradict each other whatever the format and heap
    LayoutRules rules;
    Limits limits;
    bool uses_cpu = false, device_only = false, sealed = false;
    std::string_view writer;
    Sharing sharing = Sharing::exclusive;
    std::string_view sharing_by;
};
Merged merge(Parties parties);
/// The rules for one pair: more comfortable than asked for where that costs nobody a limit.
LayoutRules rules_for(const FormatModifier& pair, const Merged& merged);

bool suits_heap(Parties parties, const Merged& merged, const HeapOffer& heap);
bool has_agreement(Parties parties, std::span<const HeapOffer> heaps);

Conflict find_conflict(Parties sorted, std::span<const HeapOffer> heaps);
std::vector<Decision> decisions(Parties sorted);

} // namespace share::solve
