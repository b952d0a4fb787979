// SPDX-License-Identifier: MIT
// Every rule of negotiation once, from one party's point of view. negotiate() merges needs instead of trying
// all candidates; that it comes to the same is what its tests prove.
#include <share/candidate.hpp>

#include <algorithm>
#include <bit>

#include "solve/rules.hpp"

namespace share {
namespace {

bool divides(std::uint32_t need, std::uint64_t value) noexcept {
    return need != 0 && std::has_single_bit(need) && value % need == 0;
}

/// May the party take this pair on the word of this entry?
bool fits(const FormatChoice& choice, const Requirements& party, const FormatModifier& pair,
          std::string_view device) noexcept {
    if (!is_offered(choice.state) || choice.pair.format != pair.format) return false;
    if (pair.modifier == modifier::none) {
        const std::string_view own = solve::device_of(choice, party);
        return choice.pair.modifier == modifier::none && !own.empty() && own == device;
    }
    return choice.pair.modifier == pair.modifier ||
           (pair.modifier == modifier::linear && solve::reads_implicit_rows(choice));
}

const FormatChoice* find_choice(const Requirements& party, const FormatModifier& pair,
                                std::string_view device) noexcept {
    const auto at = std::find_if(party.formats.begin(), party.formats.end(), [&](const FormatChoice& choice) {
        return fits(choice, party, pair, device);
    });
    return at == party.formats.end() ? nullptr : &*at;
}

std::optional<Need> unmet_format(const Requirements& party, const FormatModifier& pair,
                                 std::string_view device) noexcept {
    if (party.formats.empty()) return solve::unmet_silently(party, pair, device);
    if (!find_choice(party, pair, device)) return Need::format;
    return std::nullopt;
}

std::optional<Need> unmet_rules(const Requirements& party, const LayoutRules& rules) noexcept {
    if (!divides(party.stride_align, rules.stride_align)) return Need::stride;
    if (!divides(party.offset_align, rules.offset_align)) return Need::offset;
    if (!divides(party.size_align, rules.size_align)) return Need::size;
    if (!divides(party.height_align, rules.height_align)) return Need::height_padding;
    if (party.planes_follow && !rules.planes_follow) return Need::planes;
    return std::nullopt;
}

std::optional<Need> unmet_rules(const Requirements& party, const Layout& layout,
                                std::uint64_t start) noexcept {
    const LayoutRules rules{party.stride_align, party.offset_align, party.height_align, party.size_align,
                            party.planes_follow};
    const auto broken = layout.broken_rule(rules, start);
    if (!broken) return std::nullopt;
    switch (*broken) {
    case LayoutRule::stride_align:
        return Need::stride;
    case LayoutRule::offset_align:
        return Need::offset;
    case LayoutRule::height_align:
        return Need::height_padding;
    case LayoutRule::size_align:
        return Need::size;
    case LayoutRule::planes_follow:
        return Need::planes;
    }
    return std::nullopt;
}

std::optional<Need> unmet_limits(const Requirements& party, const Limits& limits) noexcept {
    if (party.min_width > limits.min_width || party.min_height > limits.min_height) return Need::picture;
    if (limits.max_width > party.max_width || limits.max_height > party.max_height) return Need::max_picture;
    if (limits.max_stride > party.max_stride) return Need::max_stride;
    if (limits.max_bytes > party.max_bytes) return Need::max_bytes;
    return std::nullopt;
}

std::optional<Need> unmet_cpu(const Requirements& party, const Traits& traits) noexcept {
    if (party.uses_cpu() && !traits.mappable) return Need::cpu_access;
    if (party.cpu_write != Pattern::none && !traits.writable) return Need::cpu_access;
    if (party.device_writes && !traits.writable) return Need::writing;
    return std::nullopt;
}

} // namespace

std::optional<Need> solve::unmet_silently(const Requirements& party, const FormatModifier& pair,
                                          std::string_view device) noexcept {
    if (pair.modifier == modifier::none && !party.device.empty() && party.device != device)
        return Need::format;
    if (pair.modifier != modifier::linear && party.uses_cpu()) return Need::cpu_access;
    return std::nullopt;
}

std::optional<Need> solve::unmet_memory(const Requirements& party, const Traits& traits,
                                        std::string_view heap, std::string_view device) noexcept {
    if (party.contiguous && traits.contiguous != Tristate::yes) return Need::contiguity;
    if (party.place == Place::system && !device.empty()) return Need::place;
    if (party.place == Place::device && (device.empty() || device != party.place_device)) return Need::place;
    if (!party.heaps.empty() && !heap_rank(party, heap)) return Need::heap;
    if (traits.page_size < party.page_size) return Need::page_size;
    if (party.cache == CacheChoice::cached && traits.cache != CachePolicy::cached) return Need::cache;
    if (party.cache == CacheChoice::write_combined && traits.cache != CachePolicy::write_combined)
        return Need::cache;
    return unmet_cpu(party, traits);
}

std::optional<std::size_t> solve::heap_rank(const Requirements& party, std::string_view heap) noexcept {
    for (std::size_t i = 0; i < party.heaps.size(); ++i) {
        std::string_view pattern = party.heaps[i];
        const bool rest = pattern.ends_with('*');
        if (rest) pattern.remove_suffix(1);
        if (rest ? heap.starts_with(pattern) : heap == pattern) return i;
    }
    return std::nullopt;
}

std::optional<Need> unmet(const Requirements& party, const Candidate& candidate) {
    if (auto need = unmet_format(party, candidate.pair, candidate.device)) return need;
    if (auto need = unmet_rules(party, candidate.rules)) return need;
    if (auto need = unmet_limits(party, candidate.limits)) return need;
    if (auto need =
            solve::unmet_memory(party, candidate.heap.traits, candidate.heap.name, candidate.heap.device))
        return need;
    if (party.device_only && !candidate.device_only) return Need::device_only;
    if (party.uses_cpu() && candidate.device_only) return Need::cpu_access;
    if (party.writes() && candidate.sealed && candidate.writer != party.party) return Need::writing;
    if (party.read_only_to_peers &&
        !(candidate.sealed && (candidate.writer.empty() || candidate.writer == party.party)))
        return Need::read_only;
    if (!solve::has_handle(party, candidate.exports)) return Need::handle;
    if (party.sharing && *party.sharing != candidate.sharing) return Need::sharing;
    return std::nullopt;
}

std::optional<Need> unmet(const Requirements& party, const MemoryFacts& memory) {
    if (auto need = solve::unmet_memory(party, memory.traits, memory.heap, memory.device)) return need;
    if (!divides(party.size_align, memory.size)) return Need::size;
    if (party.device_only && memory.traits.needs_mapping) return Need::device_only;
    if (party.writes() && (memory.sealed || !memory.traits.writable)) return Need::writing;
    if (party.read_only_to_peers && !memory.sealed) return Need::read_only;
    if (!solve::has_handle(party, memory.traits.exports)) return Need::handle;
    return std::nullopt;
}

std::optional<Need> unmet(const Requirements& party, const Layout& layout, std::uint64_t start) {
    const FormatModifier pair{layout.format(), layout.modifier()};
    // A buffer that exists came with its layout: whose implicit one it is, is known to who made it.
    if (auto need = unmet_format(party, pair, party.device)) return need;
    if (layout.width() < party.min_width || layout.height() < party.min_height) return Need::picture;
    if (layout.width() > party.max_width || layout.height() > party.max_height) return Need::max_picture;
    if (!layout.row_addressable()) return std::nullopt;
    if (layout.size() > party.max_bytes) return Need::max_bytes;
    for (const Plane& plane : layout.planes())
        if (plane.stride > party.max_stride) return Need::max_stride;
    return unmet_rules(party, layout, start);
}

std::optional<Terms> terms(const Requirements& party, const Candidate& candidate) {
    if (!satisfies(party, candidate)) return std::nullopt;
    Terms terms;
    for (const Exports kind : {Exports::sysv, Exports::memfd, Exports::dmabuf})
        if (contains(party.handles, kind) && contains(candidate.exports, kind)) terms.handle = kind;
    terms.modifier = candidate.pair.modifier;
    terms.device = party.device;
    if (const FormatChoice* choice = find_choice(party, candidate.pair, candidate.device)) {
        terms.modifier = choice->pair.modifier;
        terms.state = choice->state;
        terms.device = solve::device_of(*choice, party);
    }
    return terms;
}

} // namespace share
