// SPDX-License-Identifier: MIT
// RangeMap: the table of a RangeAllocator, for one strategy: so that the compiler sees through the built-in
// ones.
//
// Entry 0 stands at the end of the line and entry 1 at its start, both as blocks of no length, so that every
// free range lies between two blocks. Entries that are not in use are listed through `after`.
#pragma once

#include <cassert>
#include <vector>

#include <share/range_allocator.hpp>

namespace share {

class RangeAllocator::Impl {
public:
    virtual ~Impl() = default;
    virtual void reserve(std::size_t blocks) = 0;
    virtual std::optional<Allocation> allocate(std::uint32_t units, std::uint32_t alignment) = 0;
    virtual void free(RangeId id) noexcept = 0;
    virtual Statistics statistics() const noexcept = 0;
    virtual std::string_view strategy() const noexcept = 0;
    const std::vector<RangeEntry>& table() const noexcept { return table_; }
    Range block(RangeId id) const noexcept {
        const RangeEntry& entry = table_[id];
        return {entry.start, table_[entry.after].start - entry.gap - entry.start, false};
    }

    static constexpr RangeId end = 0, begin = 1;

protected:
    std::vector<RangeEntry> table_;
};

template<class Strategy>
class RangeMap final : public RangeAllocator::Impl {
public:
    RangeMap(std::uint32_t units, std::unique_ptr<Strategy> strategy)
        : strategy_(std::move(strategy)), units_(units) {
        assert(units >= 1 && units <= RangeAllocator::max_units);
        table_.resize(2);
        grow(16);
        table_[end] = {units, 0, begin, begin, {}};
        table_[begin] = {0, 0, end, end, {}};
        set_gap(begin, units);
    }

    void reserve(std::size_t blocks) override {
        if (blocks + 2 > table_.size()) grow(blocks + 2);
    }

    std::optional<RangeAllocator::Allocation> allocate(std::uint32_t units,
                                                       std::uint32_t alignment) override {
        assert(units >= 1 && std::has_single_bit(alignment));
        if (units > units_) return std::nullopt;
        if (spare_ == no_range) grow(table_.size() * 2);
        const RangeId before = find(units, alignment);
        if (before == no_range) return std::nullopt;
        const std::uint32_t start = gap_start(before), pad = padding(start, alignment);
        const std::uint32_t gap = table_[before].gap;
        const RangeId id = take_entry();
        set_gap(before, pad);
        link_after(before, id);
        table_[id].start = start + pad;
        set_gap(id, gap - pad - units);
        used_units_ += units;
        ++blocks_;
        return RangeAllocator::Allocation{id, start + pad};
    }

    void free(RangeId id) noexcept override {
        assert(id > begin && id < table_.size() && table_[id].before != id);
        const RangeId before = table_[id].before, after = table_[id].after;
        const std::uint32_t units = table_[after].start - table_[id].gap - table_[id].start;
        const std::uint32_t gap = table_[before].gap + units + table_[id].gap;
        set_gap(id, 0);
        set_gap(before, gap);
        table_[before].after = after;
        table_[after].before = before;
        drop_entry(id);
        used_units_ -= units;
        --blocks_;
    }

    RangeAllocator::Statistics statistics() const noexcept override {
        return {units_, used_units_, units_ - used_units_, strategy_->largest(table_.data()), blocks_, gaps_};
    }
    std::string_view strategy() const noexcept override { return strategy_->name(); }

private:
    static std::uint32_t padding(std::uint32_t start, std::uint32_t alignment) noexcept {
        return (alignment - (start & (alignment - 1))) & (alignment - 1);
    }
    std::uint32_t gap_start(RangeId id) const noexcept {
        return table_[table_[id].after].start - table_[id].gap;
    }

    RangeId find(std::uint32_t units, std::uint32_t alignment) const noexcept {
        const RangeEntry* table = table_.data();
        RangeId id = strategy_->find(table, units);
        if (alignment == 1) return id;
        for (int tries = 0; id != no_range && tries < RangeAllocator::aligned_tries; ++tries) {
            if (std::uint64_t{padding(gap_start(id), alignment)} + units <= table[id].gap) return id;
            id = strategy_->next(table, id);
        }
        const std::uint64_t enough = std::uint64_t{units} + alignment - 1;
        return id == no_range || enough > units_ ? no_range
                                                 : strategy_->find(table, static_cast<std::uint32_t>(enough));
    }

    /// The free range behind `id` becomes `units` long; the strategy sees it before and after.
    void set_gap(RangeId id, std::uint32_t units) noexcept {
        if (table_[id].gap > 0) {
            strategy_->remove(table_.data(), id);
            --gaps_;
        }
        table_[id].gap = units;
        if (units > 0) {
            strategy_->insert(table_.data(), id);
            ++gaps_;
        }
    }

    void link_after(RangeId before, RangeId id) noexcept {
        const RangeId after = table_[before].after;
        table_[id].before = before;
        table_[id].after = after;
        table_[before].after = id;
        table_[after].before = id;
    }

    RangeId take_entry() noexcept {
        const RangeId id = spare_;
        spare_ = table_[id].after;
        return id;
    }
    /// An unused entry is its own neighbour, which tells freeing it again from freeing a block.
    void drop_entry(RangeId id) noexcept {
        table_[id].before = id;
        table_[id].after = spare_;
        spare_ = id;
    }

    void grow(std::size_t size) {
        strategy_->reserve(size);
        const std::size_t old = table_.size();
        table_.resize(size);
        for (std::size_t id = size; id-- > old;)
            drop_entry(static_cast<RangeId>(id));
    }

    std::unique_ptr<Strategy> strategy_;
    std::uint32_t units_;
    std::uint32_t used_units_ = 0, blocks_ = 0, gaps_ = 0;
    RangeId spare_ = no_range;
};

} // namespace share
