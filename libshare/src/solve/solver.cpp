// SPDX-License-Identifier: MIT
#include "solve/solver.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

#include "solve/rules.hpp"

namespace share::solve {
namespace {

bool key_less(const CommonPair& a, const CommonPair& b) noexcept {
    return std::tie(a.pair, a.device) < std::tie(b.pair, b.device);
}

bool same_key(const CommonPair& a, const CommonPair& b) noexcept {
    return a.pair == b.pair && a.device == b.device;
}

/// What one list offers, each pair once, by the first entry that offers it.
std::vector<CommonPair> offered_by(const Requirements& party) {
    std::vector<CommonPair> offered;
    offered.reserve(party.formats.size());
    for (std::size_t i = 0; i < party.formats.size(); ++i) {
        const FormatChoice& choice = party.formats[i];
        if (!is_offered(choice.state)) continue;
        const bool good = choice.state == ProbeState::good;
        if (choice.pair.modifier != modifier::none)
            offered.push_back({choice.pair, {}, i, good});
        else if (const auto device = device_of(choice, party); !device.empty())
            offered.push_back({choice.pair, device, i, good});
        if (reads_implicit_rows(choice))
            offered.push_back({{choice.pair.format, modifier::linear}, {}, i, good});
    }
    std::stable_sort(offered.begin(), offered.end(), key_less);
    offered.erase(std::unique(offered.begin(), offered.end(), same_key), offered.end());
    return offered;
}

void intersect(std::vector<CommonPair>& common, const std::vector<CommonPair>& other) {
    auto kept = common.begin();
    auto at = other.begin();
    for (const CommonPair& pair : common) {
        at = std::lower_bound(at, other.end(), pair, key_less);
        if (at == other.end()) break;
        if (same_key(*at, pair))
            *kept++ = {pair.pair, pair.device, pair.rank + at->rank, pair.good && at->good};
    }
    common.erase(kept, common.end());
}

/// Parties without a list: unmet_silently() of satisfies.cpp, for all of them.
bool bears(const Requirements& party, const CommonPair& pair) noexcept {
    return !unmet_silently(party, pair.pair, pair.device);
}

template<typename T>
void raise(T& value, T at_least) {
    value = std::max(value, at_least);
}
template<typename T>
void lower(T& value, T at_most) {
    value = std::min(value, at_most);
}

void merge_layout(Merged& merged, const Requirements& party) {
    const auto powers = {party.stride_align, party.offset_align, party.height_align, party.size_align};
    for (const std::uint32_t align : powers)
        if (!std::has_single_bit(align)) merged.possible = false;
    raise(merged.rules.stride_align, party.stride_align);
    raise(merged.rules.offset_align, party.offset_align);
    raise(merged.rules.height_align, party.height_align);
    raise(merged.rules.size_align, party.size_align);
    merged.rules.planes_follow = merged.rules.planes_follow || party.planes_follow;
    raise(merged.limits.min_width, party.min_width);
    raise(merged.limits.min_height, party.min_height);
    lower(merged.limits.max_width, party.max_width);
    lower(merged.limits.max_height, party.max_height);
    lower(merged.limits.max_stride, party.max_stride);
    lower(merged.limits.max_bytes, party.max_bytes);
}

/// The first one where several ask: parties come sorted by name.
void merge_sharing(Merged& merged, const Requirements& party, bool& decided) {
    if (!party.sharing) return;
    if (decided && merged.sharing != *party.sharing) merged.possible = false;
    if (!decided) merged.sharing_by = party.party;
    merged.sharing = *party.sharing;
    decided = true;
}

/// Sealed memory has one writer at most, and that is who asked for the seal.
void merge_writers(Merged& merged, Parties parties) {
    std::size_t writers = 0;
    for (const Requirements* party : parties) {
        if (!merged.sealed || !party->writes()) continue;
        merged.writer = party->party;
        ++writers;
    }
    const auto cannot_bear = [&](const Requirements* party) {
        return party->read_only_to_peers && !party->writes();
    };
    if (writers > 1 || (writers == 1 && std::any_of(parties.begin(), parties.end(), cannot_bear)))
        merged.possible = false;
}

} // namespace

std::vector<CommonPair> common_pairs(Parties parties) {
    std::vector<CommonPair> common;
    bool first = true;
    for (const Requirements* party : parties) {
        if (party->formats.empty()) continue;
        if (first)
            common = offered_by(*party);
        else
            intersect(common, offered_by(*party));
        first = false;
    }
    if (first) common.push_back({{0, modifier::linear}, {}, 0, false});
    for (const Requirements* party : parties)
        if (party->formats.empty())
            std::erase_if(common, [&](const CommonPair& pair) { return !bears(*party, pair); });
    return common;
}

Merged merge(Parties parties) {
    Merged merged;
    merged.rules = {1, 1, 1, 1, false};
    bool decided = false;
    for (const Requirements* party : parties) {
        merge_layout(merged, *party);
        merge_sharing(merged, *party, decided);
        merged.uses_cpu = merged.uses_cpu || party->uses_cpu();
        merged.device_only = merged.device_only || party->device_only;
        merged.sealed = merged.sealed || party->read_only_to_peers;
    }
    merge_writers(merged, parties);
    if (merged.uses_cpu && merged.device_only) merged.possible = false;
    return merged;
}

LayoutRules rules_for(const FormatModifier& pair, const Merged& merged) {
    LayoutRules rules = merged.rules;
    const LayoutRules comfort;
    if (pair.modifier != modifier::linear) return rules;
    // Comfort takes bytes, which a picture that just fits does not have.
    if (merged.limits.max_bytes != Layout::max_size) return rules;
    // A limit that is a multiple of the larger alignment excludes no picture that it did not exclude before;
    // but where planes follow, the first stride must be a multiple of more than that.
    if (merged.limits.max_stride == UINT32_MAX ||
        (!rules.planes_follow && merged.limits.max_stride % comfort.stride_align == 0))
        raise(rules.stride_align, comfort.stride_align);
    if (!rules.planes_follow) raise(rules.offset_align, comfort.offset_align);
    return has_room(pair, rules, merged.limits) ? rules : merged.rules;
}

bool suits_heap(Parties parties, const Merged& merged, const HeapOffer& heap) {
    if (merged.device_only && heap.traits.needs_mapping) return false;
    const Exports exports = exports_of(heap, merged.sealed);
    if (merged.sealed && exports == Exports::none) return false;
    return std::all_of(parties.begin(), parties.end(), [&](const Requirements* party) {
        return has_handle(*party, exports) && !unmet_memory(*party, heap.traits, heap.name, heap.device);
    });
}

bool has_agreement(Parties parties, std::span<const HeapOffer> heaps) {
    const Merged merged = merge(parties);
    if (!merged.possible) return false;
    std::vector<const HeapOffer*> left;
    for (const HeapOffer& heap : heaps)
        if (suits_heap(parties, merged, heap)) left.push_back(&heap);
    if (left.empty()) return false;
    const auto pairs = common_pairs(parties);
    return std::any_of(pairs.begin(), pairs.end(), [&](const CommonPair& pair) {
        return has_room(pair.pair, merged.rules, merged.limits) &&
               std::any_of(left.begin(), left.end(),
                           [&](const HeapOffer* heap) { return can_lay_out(*heap, pair.pair, pair.device); });
    });
}

} // namespace share::solve
