// SPDX-License-Identifier: MIT
#include <share/negotiate.hpp>

#include <algorithm>
#include <array>
#include <tuple>

#include "solve/rules.hpp"
#include "solve/solver.hpp"

namespace share {
namespace {

using solve::Parties;

/// What a candidate is compared by: one number for each criterion from cpu_cost on, less is better.
constexpr std::size_t costs = static_cast<std::size_t>(Criterion::name);
struct Ranked {
    Candidate candidate;
    std::array<std::uint64_t, costs> cost{};
};

/// Reading memory that is not cached costs ten times and more, in random order most; writing it in order is
/// what write-combining is for.
std::uint64_t cpu_cost(Parties parties, CachePolicy cache) noexcept {
    if (cache == CachePolicy::cached) return 0;
    std::uint64_t cost = 0;
    for (const Requirements* party : parties) {
        if (party->cpu_read != Pattern::none) cost += party->cpu_read == Pattern::random ? 100 : 10;
        if (party->cpu_write == Pattern::random) cost += 10;
        if (party->cpu_write == Pattern::sequential && cache == CachePolicy::unknown) cost += 1;
    }
    return cost;
}

std::uint64_t heap_rank(Parties parties, const HeapOffer& heap) noexcept {
    std::uint64_t rank = 0;
    for (const Requirements* party : parties)
        rank += solve::heap_rank(*party, heap.name).value_or(0);
    return rank;
}

Candidate make_candidate(const solve::Merged& merged, const solve::CommonPair& pair, const LayoutRules& rules,
                         const HeapOffer& heap) {
    Candidate c;
    c.pair = pair.pair;
    c.device = pair.device;
    c.state = pair.good ? ProbeState::good : ProbeState::unprobeable;
    c.rules = rules;
    c.limits = merged.limits;
    c.heap = heap;
    c.device_only = merged.device_only;
    c.sealed = merged.sealed;
    c.writer = merged.writer;
    c.exports = exports_of(heap, merged.sealed);
    c.sharing = merged.sharing;
    c.sharing_by = merged.sharing_by;
    return c;
}

std::vector<Ranked> all_candidates(Parties parties, std::span<const HeapOffer> heaps) {
    std::vector<Ranked> all;
    const solve::Merged merged = solve::merge(parties);
    if (!merged.possible) return all;
    const auto pairs = solve::common_pairs(parties);
    for (std::size_t i = 0; i < heaps.size(); ++i) {
        const HeapOffer& heap = heaps[i];
        if (!solve::suits_heap(parties, merged, heap)) continue;
        const std::uint64_t cpu = cpu_cost(parties, heap.traits.cache), in_lists = heap_rank(parties, heap);
        for (const solve::CommonPair& pair : pairs) {
            if (!solve::can_lay_out(heap, pair.pair, pair.device) ||
                !solve::has_room(pair.pair, merged.rules, merged.limits))
                continue;
            const bool implicit = pair.pair.modifier == modifier::none;
            all.push_back({make_candidate(merged, pair, solve::rules_for(pair.pair, merged), heap),
                           {0, cpu, pair.rank, in_lists, !pair.good, implicit, !heap.traits.swappable, i}});
        }
    }
    return all;
}

/// The first criterion in which the two differ.
Criterion difference(const Ranked& a, const Ranked& b) noexcept {
    const auto at = std::mismatch(a.cost.begin(), a.cost.end(), b.cost.begin()).first;
    return static_cast<Criterion>(at - a.cost.begin());
}

Agreement order(std::vector<Ranked> all, Parties sorted) {
    std::sort(all.begin(), all.end(), [](const Ranked& a, const Ranked& b) {
        return a.cost != b.cost ? a.cost < b.cost
                                : std::tie(a.candidate.pair, a.candidate.device) <
                                      std::tie(b.candidate.pair, b.candidate.device);
    });
    Agreement agreement;
    agreement.choices.reserve(all.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        agreement.choices.push_back(
            {std::move(all[i].candidate), i == 0 ? Criterion::best : difference(all[i - 1], all[i])});
    agreement.decisions = solve::decisions(sorted);
    return agreement;
}

} // namespace

Negotiation negotiate(std::span<const Requirements> parties, std::span<const HeapOffer> heaps) {
    std::vector<const Requirements*> sorted;
    sorted.reserve(parties.size());
    for (const Requirements& party : parties)
        sorted.push_back(&party);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto* a, const auto* b) { return a->party < b->party; });
    const auto twin = std::adjacent_find(sorted.begin(), sorted.end(),
                                         [](const auto* a, const auto* b) { return a->party == b->party; });
    if (twin != sorted.end()) {
        const Claim claim{(*twin)->party, Need::name, need_text(**twin, Need::name)};
        return Conflict{claim, claim, {}};
    }
    auto all = all_candidates(sorted, heaps);
    if (all.empty()) return solve::find_conflict(sorted, heaps);
    return order(std::move(all), sorted);
}

} // namespace share
