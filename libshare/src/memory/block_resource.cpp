// SPDX-License-Identifier: MIT
#include <share/block_resource.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace share {
namespace {

/// Which range starts at a unit. Two levels: memory for it is taken only where something was allocated.
class StartTable {
public:
    explicit StartTable(std::uint32_t units) : pages_(units / page + 1) {}
    void set(std::uint32_t unit, RangeId id) {
        auto& slots = pages_[unit / page];
        if (!slots) slots = std::make_unique<std::array<RangeId, page>>();
        (*slots)[unit % page] = id;
    }
    RangeId take(std::uint32_t unit) noexcept {
        auto& slots = pages_[unit / page];
        return slots ? std::exchange((*slots)[unit % page], no_range) : no_range;
    }

private:
    static constexpr std::uint32_t page = 1024;
    std::vector<std::unique_ptr<std::array<RangeId, page>>> pages_;
};

} // namespace

struct BlockResource::State {
    State(Block of, std::span<std::byte> whole, std::uint64_t unit, std::uint32_t units, Fit fit)
        : block(std::move(of)), bytes(whole), granule(unit), ranges(units, fit), starts(units) {}
    const Block block;
    const std::span<std::byte> bytes;
    const std::uint64_t granule;
    mutable std::mutex lock;
    RangeAllocator ranges;
    StartTable starts;
};

BlockResource::BlockResource(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
BlockResource::~BlockResource() = default;

Result<std::unique_ptr<BlockResource>> BlockResource::create(Block block, std::uint64_t granule, Fit fit) {
    assert(block);
    const auto operation = [&] { return fmt::format("making a memory resource of {} bytes", block.size()); };
    if (!std::has_single_bit(granule))
        return make_error(Code::invalid_argument, operation(),
                          fmt::format("the granule {} is no power of two", granule));
    auto bytes = block.view(Access::read_write);
    if (!bytes) return std::move(bytes).error();
    // Units are counted from a multiple of the granule, so that each unit's address is one.
    const auto address = reinterpret_cast<std::uintptr_t>(bytes->data());
    const std::uint64_t skip = (granule - address % granule) % granule;
    const std::uint64_t units = skip < bytes->size() ? (bytes->size() - skip) / granule : 0;
    if (units == 0)
        return make_error(Code::invalid_argument, operation(),
                          fmt::format("there is no whole granule of {} bytes in it", granule));
    if (units > RangeAllocator::max_units)
        return make_error(Code::limit, operation(),
                          fmt::format("it has more than {} granules of {} bytes; take a larger one",
                                      RangeAllocator::max_units, granule));
    auto state = std::make_unique<State>(std::move(block), bytes->subspan(skip), granule,
                                         static_cast<std::uint32_t>(units), fit);
    return std::unique_ptr<BlockResource>(new BlockResource(std::move(state)));
}

const Block& BlockResource::block() const noexcept {
    return state_->block;
}

ArenaStatistics BlockResource::statistics() const {
    const std::lock_guard lock(state_->lock);
    const auto s = state_->ranges.statistics();
    const auto granule = state_->granule;
    return {s.units * granule, s.used_units * granule, s.free_units * granule, s.largest_free * granule,
            s.blocks,          s.free_ranges};
}

void* BlockResource::do_allocate(std::size_t bytes, std::size_t alignment) {
    State& state = *state_;
    // Offsets are aligned by the allocator. An alignment beyond that of the first byte's address is made by
    // taking as much more.
    const auto base = reinterpret_cast<std::uintptr_t>(state.bytes.data());
    const std::size_t base_alignment = std::size_t{1} << std::countr_zero(base);
    const std::size_t more = alignment > base_alignment ? alignment - base_alignment : 0;
    const std::size_t least = std::max<std::size_t>(bytes, 1);
    if (least > state.bytes.size() || more > state.bytes.size()) throw std::bad_alloc();
    const std::uint64_t units = (least + more + state.granule - 1) / state.granule;
    const std::uint64_t steps =
        std::max<std::uint64_t>(std::min(alignment, base_alignment) / state.granule, 1);
    const std::lock_guard lock(state.lock);
    if (units > RangeAllocator::max_units || steps > RangeAllocator::max_units) throw std::bad_alloc();
    const auto got =
        state.ranges.allocate(static_cast<std::uint32_t>(units), static_cast<std::uint32_t>(steps));
    if (!got) throw std::bad_alloc();
    const std::uint64_t start = got->start * state.granule;
    const std::uint64_t at = ((base + start + alignment - 1) & ~(std::uintptr_t{alignment} - 1)) - base;
    try {
        state.starts.set(static_cast<std::uint32_t>(at / state.granule), got->id);
    } catch (...) {
        state.ranges.free(got->id);
        throw;
    }
    return state.bytes.data() + at;
}

void BlockResource::do_deallocate(void* at, std::size_t, std::size_t) {
    State& state = *state_;
    const auto offset = static_cast<std::uint64_t>(static_cast<std::byte*>(at) - state.bytes.data());
    const std::lock_guard lock(state.lock);
    const RangeId id = state.starts.take(static_cast<std::uint32_t>(offset / state.granule));
    assert(id != no_range && "freed twice, or never allocated here");
    state.ranges.free(id);
}

bool BlockResource::do_is_equal(const std::pmr::memory_resource& other) const noexcept {
    return this == &other;
}

} // namespace share
