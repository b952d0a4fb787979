// SPDX-License-Identifier: MIT
// What satisfies() and negotiate() must see alike. Thread: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include <share/candidate.hpp>

namespace share::solve {

/// Whose preference an entry is.
inline std::string_view device_of(const FormatChoice& choice, const Requirements& party) noexcept {
    return choice.device.empty() ? party.device : choice.device;
}

/// "Without modifier" that means rows to this party.
inline bool reads_implicit_rows(const FormatChoice& choice) noexcept {
    return choice.pair.modifier == modifier::none && choice.implicit_is_linear;
}

inline bool has_handle(const Requirements& party, Exports exports) noexcept {
    return party.handles == Exports::none ||
           (static_cast<unsigned>(party.handles) & static_cast<unsigned>(exports)) != 0;
}

/// Place of the heap in the party's list.
std::optional<std::size_t> heap_rank(const Requirements& party, std::string_view heap) noexcept;

/// The needs that only look at memory as such: contiguity, place, heap, page size, cache, CPU
/// access, memory that nobody writes to.
std::optional<Need> unmet_memory(const Requirements& party, const Traits& traits, std::string_view heap,
                                 std::string_view device) noexcept;

/// A party without an opinion on formats still cannot walk tiles, nor read another driver's secrets.
std::optional<Need> unmet_silently(const Requirements& party, const FormatModifier& pair,
                                   std::string_view device) noexcept;

/// Can this heap give memory laid out so? `device`: whose implicit layout, for modifier::none.
bool can_lay_out(const HeapOffer& heap, const FormatModifier& pair, std::string_view device) noexcept;

/// Does the smallest picture that the parties want, laid out by these rules, keep to the limits?
bool has_room(const FormatModifier& pair, const LayoutRules& rules, const Limits& limits);

} // namespace share::solve
