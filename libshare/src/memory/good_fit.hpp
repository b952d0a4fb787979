// SPDX-License-Identifier: MIT
// GoodFit: free ranges in classes of similar lengths, 32 for each power of two; the first of the first class
// whose every range is long enough. A fixed number of steps (TLSF: two-level segregated fit).
#pragma once

#include <array>

#include <share/range_allocator.hpp>

#include "memory/range_list.hpp"

namespace share {

class GoodFit final : public FitStrategy {
public:
    std::string_view name() const noexcept override { return "good fit"; }
    void reserve(std::size_t) override {}

    void insert(RangeEntry* table, RangeId id) noexcept override {
        const std::uint32_t at = class_of(table[id].gap);
        push(table, heads_[at], id);
        second_[at / 32] |= 1U << (at % 32);
        first_ |= bit(at / 32);
    }

    void remove(RangeEntry* table, RangeId id) noexcept override {
        const std::uint32_t at = class_of(table[id].gap);
        if (!unlink(table, heads_[at], id)) return;
        second_[at / 32] &= ~(1U << (at % 32));
        if (second_[at / 32] == 0) first_ &= ~bit(at / 32);
    }

    RangeId find(const RangeEntry* table, std::uint32_t units) const noexcept override {
        // Rounded up to the next class: all of that one's ranges are long enough.
        const std::uint32_t slack = units < 64 ? 0 : (1U << (std::bit_width(units) - 6)) - 1;
        const std::uint32_t at = class_of(units + slack);
        if (const auto id = first_from(at); id != no_range) return id;
        // The class of `units` itself may hold one: looked at only where nothing else is left.
        auto id = heads_[class_of(units)];
        for (int tries = 8; tries > 0 && id != no_range; --tries, id = table[id].link[1])
            if (table[id].gap >= units) return id;
        return no_range;
    }

    RangeId next(const RangeEntry* table, RangeId id) const noexcept override {
        if (table[id].link[1] != no_range) return table[id].link[1];
        return first_from(class_of(table[id].gap) + 1);
    }

    std::uint32_t largest(const RangeEntry* table) const noexcept override {
        if (first_ == 0) return 0;
        const std::uint32_t row = highest(first_);
        std::uint32_t most = 0;
        for (auto id = heads_[row * 32 + highest(second_[row])]; id != no_range; id = table[id].link[1])
            most = most > table[id].gap ? most : table[id].gap;
        return most;
    }

private:
    static constexpr std::uint32_t rows = 28;

    /// Below 64 each length has a class of its own.
    static std::uint32_t class_of(std::uint32_t units) noexcept {
        if (units < 64) return units;
        const auto row = static_cast<std::uint32_t>(std::bit_width(units)) - 5;
        return row * 32 + ((units >> (row - 1)) & 31);
    }

    RangeId first_from(std::uint32_t at) const noexcept {
        std::uint32_t row = at / 32;
        if (row >= rows) return no_range;
        std::uint32_t here = second_[row] & (~0U << (at % 32));
        if (here == 0) {
            const auto later = first_ & above(row);
            if (later == 0) return no_range;
            row = lowest(later);
            here = second_[row];
        }
        return heads_[row * 32 + lowest(here)];
    }

    std::uint64_t first_ = 0; ///< a bit for each row that has ranges
    std::array<std::uint32_t, rows> second_{};
    std::array<RangeId, rows * 32> heads_{};
};

} // namespace share
