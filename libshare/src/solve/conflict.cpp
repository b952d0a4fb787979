// SPDX-License-Identifier: MIT
// Which needs are to blame: leave out what can be left out until nothing can.
#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "solve/solver.hpp"

namespace share::solve {
namespace {

std::vector<const Requirements*> pointers(const std::vector<Requirements>& parties) {
    std::vector<const Requirements*> out;
    for (const Requirements& party : parties)
        out.push_back(&party);
    return out;
}

/// The smallest group that has no agreement, of one or two parties where there is one; else all.
std::vector<Requirements> guilty_parties(Parties parties, std::span<const HeapOffer> heaps) {
    for (const Requirements* party : parties)
        if (!has_agreement(Parties(&party, 1), heaps)) return {*party};
    for (std::size_t i = 0; i < parties.size(); ++i) {
        for (std::size_t j = i + 1; j < parties.size(); ++j) {
            const Requirements* pair[] = {parties[i], parties[j]};
            if (!has_agreement(pair, heaps)) return {*pair[0], *pair[1]};
        }
    }
    std::vector<Requirements> all;
    for (const Requirements* party : parties)
        all.push_back(*party);
    return all;
}

/// Takes every need away without which there is still no agreement. What is left is minimal.
void leave_out(std::vector<Requirements>& parties, std::span<const HeapOffer> heaps) {
    const auto still_guilty = [&] {
        const auto list = pointers(parties);
        return !has_agreement(list, heaps);
    };
    // Whole parties first: of twenty, most have nothing to do with it.
    for (std::size_t i = parties.size(); i-- > 0;) {
        Requirements kept = std::exchange(parties[i], Requirements{.party = parties[i].party});
        if (!still_guilty()) parties[i] = std::move(kept);
    }
    for (Requirements& party : parties) {
        for (std::size_t i = 1; i < need_count; ++i) { // not the name
            const auto need = static_cast<Need>(i);
            if (!has_need(party, need)) continue;
            Requirements kept = std::exchange(party, without(party, need));
            if (!still_guilty()) party = std::move(kept);
        }
    }
}

std::string heaps_text(std::span<const HeapOffer> heaps) {
    if (heaps.empty()) return "no memory at all";
    std::string text;
    for (const HeapOffer& heap : heaps)
        text += fmt::format("{}{} ({}{}, {})", text.empty() ? "only " : ", ", heap.name,
                            heap.traits.contiguous == Tristate::yes ? "contiguous, " : "",
                            to_string(heap.traits.cache), to_string(heap.traits.exports));
    return text;
}

bool is_offered_any(const Requirements& party) noexcept {
    return std::any_of(party.formats.begin(), party.formats.end(),
                       [](const FormatChoice& choice) { return is_offered(choice.state); });
}

/// What stands against a need that nobody else's need contradicts.
Claim against(const Requirements& party, Need need, std::span<const HeapOffer> heaps) {
    switch (need) {
    case Need::format:
        if (!is_offered_any(party)) return {party.party, need, "none of them works"};
        break;
    case Need::stride:
    case Need::offset:
    case Need::size:
    case Need::height_padding:
        if (!heaps.empty()) return {"libshare", need, "alignments that are powers of two"};
        break;
    case Need::picture:
    case Need::max_picture:
    case Need::max_stride:
    case Need::max_bytes:
        if (!heaps.empty())
            return {"libshare", need,
                    fmt::format("pictures of 1x1 to {0}x{0} pixels", Layout::max_dimension)};
        break;
    default:
        break;
    }
    return {"this machine", Need::heap, heaps_text(heaps)};
}

} // namespace

Conflict find_conflict(Parties sorted, std::span<const HeapOffer> heaps) {
    auto parties = guilty_parties(sorted, heaps);
    const auto original = parties;
    leave_out(parties, heaps);
    std::vector<Claim> core;
    const Requirements* only = nullptr;
    for (std::size_t p = 0; p < parties.size(); ++p) {
        for (std::size_t i = 1; i < need_count; ++i) {
            const auto need = static_cast<Need>(i);
            if (!has_need(parties[p], need)) continue;
            core.push_back({parties[p].party, need, need_text(original[p], need)});
            only = &parties[p];
        }
    }
    if (core.empty()) // a machine that cannot serve anybody
        return {{sorted.empty() ? "nobody" : sorted.front()->party, Need::heap, "any memory"},
                {"this machine", Need::heap, heaps_text(heaps)},
                {}};
    if (core.size() == 1) return {core.front(), against(*only, core.front().need, heaps), {}};
    return {core.front(), core.back(), {core.begin() + 1, core.end() - 1}};
}

} // namespace share::solve
