// SPDX-License-Identifier: MIT
// BestFit: free ranges by exact length; the shortest that is long enough. Equal lengths: last freed first.
//
// A trie of 64-way bitmaps over the length: at most six levels, so O(log n) with a base of 64. Lengths below
// 4096 units, nearly all of them, are the first two levels of it as flat arrays; longer ones have nodes. Each
// length has a list. Nodes never run out: free lengths cannot add up to more than the line has units, so only
// few can be so different that they need nodes of their own; that many are made at the start.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <memory>

#include <share/range_allocator.hpp>

#include "memory/range_list.hpp"

namespace share {

class BestFit final : public FitStrategy {
public:
    explicit BestFit(std::uint32_t units) {
        while (levels_ < 6 && (std::uint64_t{units} >> (6 * levels_)) != 0)
            ++levels_;
        // k nodes of a level that span s lengths each hold lengths of at least 0, s, 2s, ...: k(k-1)s/2 units.
        std::size_t count = 1;
        for (unsigned level = 0; level < levels_; ++level)
            count += 2 + static_cast<std::size_t>(
                             std::sqrt(2.0 * units / static_cast<double>(std::uint64_t{64} << (6 * level))));
        nodes_ = std::make_unique_for_overwrite<Node[]>(count);
        for (std::size_t i = 1; i < count; ++i)
            nodes_[i].child[0] = static_cast<std::uint32_t>(i + 1);
        nodes_[count - 1].child[0] = 0;
        spare_ = 1;
        root_ = make_node();
    }

    std::string_view name() const noexcept override { return "best fit"; }
    void reserve(std::size_t) override {}

    void insert(RangeEntry* table, RangeId id) noexcept override {
        const std::uint32_t length = table[id].gap;
        if (length < flat) {
            push(table, heads_[length], id);
            words_[length / 64] |= bit(length % 64);
            summary_ |= bit(length / 64);
        } else {
            insert_long(table, id, length);
        }
    }

    void remove(RangeEntry* table, RangeId id) noexcept override {
        const std::uint32_t length = table[id].gap;
        if (length >= flat) {
            remove_long(table, id, length);
        } else if (unlink(table, heads_[length], id)) {
            words_[length / 64] &= ~bit(length % 64);
            if (words_[length / 64] == 0) summary_ &= ~bit(length / 64);
        }
    }

    RangeId find(const RangeEntry*, std::uint32_t length) const noexcept override {
        if (length >= flat) return find_long(length);
        const std::uint32_t at = length / 64;
        if (const auto rest = words_[at] >> (length % 64)) return heads_[length + lowest(rest)];
        const auto later = summary_ & above(at);
        if (later == 0) return find_long(flat);
        const std::uint32_t word = lowest(later);
        return heads_[word * 64 + lowest(words_[word])];
    }

    RangeId next(const RangeEntry* table, RangeId id) const noexcept override {
        if (table[id].link[1] != no_range) return table[id].link[1];
        return find(table, table[id].gap + 1);
    }

    std::uint32_t largest(const RangeEntry*) const noexcept override {
        if (nodes_[root_].bits != 0) return largest_long();
        if (summary_ == 0) return 0;
        const std::uint32_t word = highest(summary_);
        return word * 64 + highest(words_[word]);
    }

private:
    static constexpr std::uint32_t flat = 4096;
    /// Of a leaf the children are the lists' first ranges; of a spare node the first is the next spare one.
    struct Node {
        std::uint64_t bits;
        std::array<std::uint32_t, 64> child;
    };
    struct Path {
        std::array<std::uint32_t, 6> node;
    };

    static std::uint32_t digit(std::uint32_t length, unsigned level) noexcept {
        return (length >> (6 * level)) & 63;
    }

    std::uint32_t make_node() noexcept {
        const std::uint32_t made = spare_;
        spare_ = nodes_[made].child[0];
        nodes_[made].bits = 0;
        return made;
    }

    void insert_long(RangeEntry* table, RangeId id, std::uint32_t length) noexcept {
        std::uint32_t at = root_;
        for (unsigned level = levels_ - 1; level > 0; --level) {
            const std::uint32_t way = digit(length, level);
            if ((nodes_[at].bits & bit(way)) == 0) {
                nodes_[at].child[way] = make_node();
                nodes_[at].bits |= bit(way);
            }
            at = nodes_[at].child[way];
        }
        const std::uint32_t way = digit(length, 0);
        if ((nodes_[at].bits & bit(way)) == 0) nodes_[at].child[way] = no_range;
        nodes_[at].bits |= bit(way);
        push(table, nodes_[at].child[way], id);
    }

    void remove_long(RangeEntry* table, RangeId id, std::uint32_t length) noexcept {
        Path path;
        std::uint32_t at = root_;
        for (unsigned level = levels_ - 1; level > 0; --level) {
            path.node[level] = at;
            at = nodes_[at].child[digit(length, level)];
        }
        path.node[0] = at;
        if (!unlink(table, nodes_[at].child[digit(length, 0)], id)) return;
        for (unsigned level = 0; level < levels_; ++level) {
            Node& node = nodes_[path.node[level]];
            node.bits &= ~bit(digit(length, level));
            if (node.bits != 0 || path.node[level] == root_) return;
            node.child[0] = spare_;
            spare_ = path.node[level];
        }
    }

    RangeId find_long(std::uint32_t length) const noexcept {
        if ((std::uint64_t{length} >> (6 * levels_)) != 0) return no_range;
        Path path;
        std::uint32_t at = root_;
        unsigned level = levels_ - 1;
        // Down along `length` as far as it goes, then one to the right, from there always left.
        for (;; --level) {
            path.node[level] = at;
            if ((nodes_[at].bits & bit(digit(length, level))) == 0) break;
            at = nodes_[at].child[digit(length, level)];
            if (level == 0) return at;
        }
        for (; level < levels_; ++level) {
            const auto later = nodes_[path.node[level]].bits & above(digit(length, level));
            if (later != 0) return leftmost(nodes_[path.node[level]].child[lowest(later)], level);
        }
        return no_range;
    }

    RangeId leftmost(std::uint32_t at, unsigned level) const noexcept {
        for (; level > 0; --level)
            at = nodes_[at].child[lowest(nodes_[at].bits)];
        return at;
    }

    std::uint32_t largest_long() const noexcept {
        std::uint32_t length = 0, at = root_;
        for (unsigned level = levels_; level-- > 0;) {
            const std::uint32_t way = highest(nodes_[at].bits);
            length = length * 64 + way;
            at = nodes_[at].child[way];
        }
        return length;
    }

    std::uint64_t summary_ = 0; ///< a bit for each word that is not 0
    std::array<std::uint64_t, flat / 64> words_{};
    std::array<RangeId, flat> heads_{};
    unsigned levels_ = 3;
    std::uint32_t root_ = 0, spare_ = 0;
    std::unique_ptr<Node[]> nodes_;
};

} // namespace share
