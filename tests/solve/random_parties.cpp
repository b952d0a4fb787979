// SPDX-License-Identifier: MIT
#include "random_parties.hpp"

#include <algorithm>

#include "parties.hpp"

namespace random_parties {
namespace {

FormatChoice random_choice(Dice& dice) {
    FormatChoice c;
    c.pair.format = dice.of({format::xrgb8888, format::nv12, format::yuv420});
    c.pair.modifier = dice.of({modifier::linear, modifier::linear, modifier::none, ::parties::tiled});
    c.state = dice.of({ProbeState::good, ProbeState::good, ProbeState::unprobeable, ProbeState::bad});
    c.implicit_is_linear = dice.one_in(3);
    if (dice.one_in(3)) c.device = dice.of({::parties::gpu, ::parties::other_gpu});
    return c;
}

/// Everything that a candidate has beside format and heap.
struct Rest {
    std::vector<LayoutRules> rules;
    std::vector<Limits> limits;
    std::vector<std::string> writers; ///< of sealed memory; the first stands for "not sealed"
};

template<typename T>
std::vector<T> values(const std::vector<Requirements>& parties, T Requirements::* field, T value) {
    std::set<T> all{value};
    for (const Requirements& party : parties)
        all.insert(party.*field);
    return {all.begin(), all.end()};
}

std::vector<LayoutRules> all_rules(const std::vector<Requirements>& parties) {
    std::vector<LayoutRules> all;
    for (const auto stride : values(parties, &Requirements::stride_align, 1U))
        for (const auto offset : values(parties, &Requirements::offset_align, 1U))
            for (const auto height : values(parties, &Requirements::height_align, 1U))
                for (const auto size : values(parties, &Requirements::size_align, 1U))
                    for (const bool follow : values(parties, &Requirements::planes_follow, false))
                        all.push_back({stride, offset, height, size, follow});
    return all;
}

std::vector<Limits> all_limits(const std::vector<Requirements>& parties) {
    const Limits none;
    std::vector<Limits> all;
    for (const auto min_width : values(parties, &Requirements::min_width, 1U))
        for (const auto min_height : values(parties, &Requirements::min_height, 1U))
            for (const auto max_width : values(parties, &Requirements::max_width, none.max_width))
                for (const auto max_height : values(parties, &Requirements::max_height, none.max_height))
                    for (const auto stride : values(parties, &Requirements::max_stride, none.max_stride))
                        for (const auto bytes : values(parties, &Requirements::max_bytes, none.max_bytes))
                            all.push_back({min_width, min_height, max_width, max_height, stride, bytes});
    return all;
}

std::set<std::pair<FormatModifier, std::string>> all_pairs(const std::vector<Requirements>& parties) {
    std::set<std::pair<FormatModifier, std::string>> all;
    for (const Requirements& party : parties) {
        for (const FormatChoice& choice : party.formats) {
            for (const std::uint64_t mod : {modifier::linear, ::parties::tiled})
                all.insert({{choice.pair.format, mod}, ""});
            for (const std::string& device : {std::string(), ::parties::gpu, ::parties::other_gpu})
                all.insert({{choice.pair.format, modifier::none}, device});
        }
    }
    if (all.empty()) all.insert({{0, modifier::linear}, ""});
    return all;
}

bool suits_somehow(const std::vector<Requirements>& parties, Candidate c, const Rest& rest) {
    const auto suits = [&] {
        return is_possible(c) && std::all_of(parties.begin(), parties.end(),
                                             [&](const auto& party) { return satisfies(party, c); });
    };
    for (const Limits& limits : rest.limits) {
        for (const LayoutRules& rules : rest.rules) {
            for (std::size_t writer = 0; writer < rest.writers.size(); ++writer) {
                for (int i = 0; i < 4; ++i) {
                    c.limits = limits;
                    c.rules = rules;
                    c.sealed = writer > 0;
                    c.writer = rest.writers[writer];
                    c.exports = exports_of(c.heap, c.sealed);
                    c.device_only = (i & 1) != 0;
                    c.sharing = (i & 2) != 0 ? Sharing::consistent : Sharing::exclusive;
                    if (suits()) return true;
                }
            }
        }
    }
    return false;
}

} // namespace

Requirements party(Dice& dice, unsigned number, unsigned wishes) {
    const auto wish = [&] { return dice.below(100) < wishes; };
    Requirements r{.party = std::string("p") + std::to_string(number)};
    r.device = dice.of({std::string(), ::parties::gpu, ::parties::gpu, ::parties::other_gpu});
    if (dice.below(100) < 4 * wishes)
        for (unsigned i = 1 + dice.below(6); i > 0; --i)
            r.formats.push_back(random_choice(dice));
    if (wish()) r.stride_align = dice.of({64U, 256U, 1024U, 48U});
    if (wish()) r.offset_align = dice.of({256U, 4096U});
    if (wish()) r.height_align = dice.of({16U, 64U});
    if (wish()) r.size_align = dice.of({4096U, 2U << 20});
    if (wish()) r.planes_follow = true;
    if (wish()) r.min_width = dice.of({100U, 640U}), r.min_height = dice.of({1U, 480U});
    if (wish()) r.max_width = dice.of({320U, 4096U}), r.max_height = dice.of({240U, 4096U});
    if (wish()) r.max_stride = dice.of({128U, 700U, 2560U});
    if (wish()) r.max_bytes = dice.of({std::uint64_t{100'000}, std::uint64_t{1} << 20});
    if (wish()) r.contiguous = true;
    if (wish()) r.place = dice.of({Place::system, Place::device});
    r.place_device = dice.of({::parties::gpu, std::string("/dev/dri/card0")});
    if (wish()) r.heaps = {dice.of<std::string>({"memfd", "mem*"}), dice.of<std::string>({"udmabuf", "d*"})};
    if (wish()) r.page_size = dice.of({std::size_t{4096}, std::size_t{2} << 20});
    if (wish()) r.cache = dice.of({CacheChoice::cached, CacheChoice::write_combined});
    if (wish()) r.device_only = dice.one_in(2);
    if (wish()) r.cpu_read = dice.of({Pattern::sequential, Pattern::random});
    if (wish()) r.cpu_write = dice.of({Pattern::sequential, Pattern::random});
    if (wish()) r.device_writes = true;
    if (wish()) r.handles = static_cast<Exports>(dice.below(8));
    if (wish()) r.read_only_to_peers = true;
    if (wish()) r.sharing = dice.of({Sharing::exclusive, Sharing::consistent});
    return r;
}

std::vector<Requirements> parties(Dice& dice, unsigned count) {
    const unsigned wishes = 2 + dice.below(20); // from nearly always solvable to nearly never
    std::vector<Requirements> all;
    for (unsigned i = 0; i < count; ++i)
        all.push_back(party(dice, i, wishes));
    return all;
}

std::vector<HeapOffer> machine(Dice& dice) {
    using namespace ::parties;
    std::vector<HeapOffer> heaps;
    for (const HeapOffer& heap :
         {udmabuf(), memfd(), huge(), sysv(), cma(), dumb(), driver(gpu), driver(other_gpu)}) {
        if (dice.one_in(3)) continue;
        heaps.push_back(heap);
        heaps.back().traits.writable = !dice.one_in(8);
        if (heap.driver_layouts) {
            heaps.back().name += heap.device;
            heaps.back().rows = dice.one_in(2);
            heaps.back().traits.mappable = dice.one_in(2);
        }
    }
    return heaps;
}

Key key(const Candidate& c) {
    return {c.pair.format, c.pair.modifier, c.device, c.heap.name};
}

std::set<Key> keys(const Negotiation& negotiation) {
    std::set<Key> all;
    if (const auto* agreement = std::get_if<Agreement>(&negotiation))
        for (const auto& choice : agreement->choices)
            all.insert(key(choice.candidate));
    return all;
}

std::optional<std::set<Key>> brute_force(const std::vector<Requirements>& parties,
                                         const std::vector<HeapOffer>& heaps, std::size_t limit) {
    Rest rest{all_rules(parties), all_limits(parties), {"", ""}};
    for (const Requirements& party : parties)
        rest.writers.push_back(party.party);
    const auto pairs = all_pairs(parties);
    if (pairs.size() * heaps.size() * rest.rules.size() * rest.limits.size() * rest.writers.size() * 4 >
        limit)
        return std::nullopt;
    std::set<Key> found;
    for (const auto& [pair, device] : pairs) {
        for (const HeapOffer& heap : heaps) {
            Candidate c;
            c.pair = pair;
            c.device = device;
            c.heap = heap;
            if (suits_somehow(parties, c, rest)) found.insert(key(c));
        }
    }
    return found;
}

} // namespace random_parties
