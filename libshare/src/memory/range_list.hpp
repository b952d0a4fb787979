// SPDX-License-Identifier: MIT
// What both strategies are made of: words of bits, and lists through RangeEntry::link (0 back, 1 on).
#pragma once

#include <bit>
#include <cstdint>

#include <share/range_allocator.hpp>

namespace share {

constexpr std::uint64_t bit(std::uint32_t at) noexcept {
    return std::uint64_t{1} << at;
}
/// All bits above bit `at`.
constexpr std::uint64_t above(std::uint32_t at) noexcept {
    return ~std::uint64_t{1} << at;
}
constexpr std::uint32_t lowest(std::uint64_t bits) noexcept {
    return static_cast<std::uint32_t>(std::countr_zero(bits));
}
constexpr std::uint32_t highest(std::uint64_t bits) noexcept {
    return 63U - static_cast<std::uint32_t>(std::countl_zero(bits));
}

inline void push(RangeEntry* table, RangeId& head, RangeId id) noexcept {
    table[id].link[0] = no_range;
    table[id].link[1] = head;
    if (head != no_range) table[head].link[0] = id;
    head = id;
}

/// True when the list is empty now.
inline bool unlink(RangeEntry* table, RangeId& head, RangeId id) noexcept {
    const RangeId back = table[id].link[0], on = table[id].link[1];
    if (on != no_range) table[on].link[0] = back;
    if (back != no_range) {
        table[back].link[1] = on;
        return false;
    }
    head = on;
    return on == no_range;
}

} // namespace share
