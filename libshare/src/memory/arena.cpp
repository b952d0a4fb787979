// SPDX-License-Identifier: MIT
#include <share/arena.hpp>

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include <share/buffer.hpp>

namespace share {

struct Arena::State {
    State(std::shared_ptr<Memory> whole, std::uint64_t unit, RangeAllocator allocator)
        : memory(std::move(whole)), granule(unit), ranges(std::move(allocator)) {}

    const std::shared_ptr<Memory> memory;
    const std::uint64_t granule;
    mutable std::mutex lock;
    RangeAllocator ranges;
    Block::State* first = nullptr; ///< of a list of all blocks

    /// With the lock held.
    ArenaStatistics statistics() const {
        const auto s = ranges.statistics();
        return {s.units * granule, s.used_units * granule, s.free_units * granule, s.largest_free * granule,
                s.blocks,          s.free_ranges};
    }
    std::vector<ArenaHolding> holdings() const;
    void add(Block::State& block) noexcept;
    void remove(const Block::State& block) noexcept;
    Error refusal(std::uint64_t size, std::string_view holder, std::uint64_t alignment) const;
};

struct Block::State : std::enable_shared_from_this<Block::State> {
    State(std::shared_ptr<Arena::State> of, std::string_view who) : arena(std::move(of)), holder(who) {}
    ~State() {
        if (id == no_range) return;
        const std::lock_guard lock(arena->lock);
        arena->remove(*this);
        arena->ranges.free(id);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    const std::shared_ptr<Arena::State> arena;
    const std::string holder;
    RangeId id = no_range;
    std::uint64_t offset = 0, size = 0;
    State *before = nullptr, *after = nullptr; ///< in the arena's list, under its lock
};

void Arena::State::add(Block::State& block) noexcept {
    block.after = first;
    if (first) first->before = &block;
    first = &block;
}

void Arena::State::remove(const Block::State& block) noexcept {
    (block.before ? block.before->after : first) = block.after;
    if (block.after) block.after->before = block.before;
}

std::vector<ArenaHolding> Arena::State::holdings() const {
    std::vector<ArenaHolding> all;
    for (const auto* block = first; block; block = block->after) {
        // A count of 0: the last share is going, and waits for the lock that we hold.
        const long shares = block->weak_from_this().use_count();
        if (shares > 0) all.push_back({block->offset, block->size, block->holder, shares});
    }
    std::ranges::sort(all, {}, &ArenaHolding::offset);
    return all;
}

namespace {

/// "decoder 1048576, scaler 1048576 and 3 more": the largest first, one entry for each holder. With the lock
/// held.
std::string name_holders(const Block::State* first) {
    std::map<std::string_view, std::uint64_t> sums;
    for (const auto* block = first; block; block = block->after)
        sums[block->holder] += block->size;
    std::vector<std::pair<std::string_view, std::uint64_t>> order(sums.begin(), sums.end());
    const std::size_t shown = std::min<std::size_t>(8, order.size());
    std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(shown), std::greater<>{},
                              &decltype(order)::value_type::second);
    std::string text;
    for (std::size_t i = 0; i < shown; ++i)
        text += fmt::format("{}{} {}", i == 0 ? "" : ", ", order[i].first, order[i].second);
    if (order.size() > shown) text += fmt::format(" and {} more", order.size() - shown);
    return text;
}

std::string describe(std::uint64_t size, std::string_view holder, const Memory& memory) {
    return fmt::format("allocating {} bytes for '{}' from an arena in {} bytes of {} '{}'", size, holder,
                       memory.size(), memory.heap(), memory.name());
}

} // namespace

Error Arena::State::refusal(std::uint64_t size, std::string_view holder, std::uint64_t alignment) const {
    const auto now = statistics();
    std::string why = fmt::format("{} bytes are free", now.free);
    if (now.free >= size) why += fmt::format(", but the largest free block has {}", now.largest_free);
    if (now.largest_free >= size)
        why += alignment > granule ? fmt::format(" and none was found at a multiple of {}", alignment)
                                   : " and was not among those that were tried";
    const auto held = name_holders(first);
    if (!held.empty()) why += fmt::format("; the rest is held by {}", held);
    return make_error(Code::out_of_memory, describe(size, holder, *memory),
                      why + (now.blocks > 0 ? "; have a block released or make the arena larger"
                                            : "; make the arena larger"));
}

// Block

std::uint64_t Block::offset() const noexcept {
    return state_->offset;
}
std::uint64_t Block::size() const noexcept {
    return state_->size;
}
std::string_view Block::holder() const noexcept {
    return state_->holder;
}
std::shared_ptr<Memory> Block::memory() const noexcept {
    return {state_, state_->arena->memory.get()};
}

Result<std::span<std::byte>> Block::view(Access access) const {
    auto whole = state_->arena->memory->view(access);
    if (!whole) return std::move(whole).error();
    return whole->subspan(state_->offset, state_->size);
}

Result<std::shared_ptr<Buffer>> Block::make_buffer(const Layout& layout) const {
    if (layout.size() > size())
        return make_error(Code::invalid_argument,
                          fmt::format("making a buffer of {} bytes in a block of {}", layout.size(), size()),
                          "it would reach into the next block; allocate layout.size() bytes");
    return Buffer::create(memory(), offset(), layout);
}

// Arena

Arena::Arena(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
Arena::Arena(Arena&&) noexcept = default;
Arena& Arena::operator=(Arena&&) noexcept = default;
Arena::~Arena() = default;

Result<Arena> Arena::create(std::shared_ptr<Memory> memory, ArenaOptions options) {
    assert(memory);
    const auto operation = [&] {
        return fmt::format("making an arena of {} bytes of {} '{}'", memory->size(), memory->heap(),
                           memory->name());
    };
    if (!std::has_single_bit(options.granule))
        return make_error(Code::invalid_argument, operation(),
                          fmt::format("the granule {} is no power of two", options.granule));
    const std::uint64_t units = memory->size() / options.granule;
    if (units == 0)
        return make_error(Code::invalid_argument, operation(),
                          fmt::format("that is less than one granule of {} bytes", options.granule));
    if (units > RangeAllocator::max_units)
        return make_error(Code::limit, operation(),
                          fmt::format("{} granules of {} bytes are more than {}; take a larger granule",
                                      units, options.granule, RangeAllocator::max_units));
    const auto count = static_cast<std::uint32_t>(units);
    return Arena(std::make_shared<State>(std::move(memory), options.granule,
                                         options.strategy ? RangeAllocator(count, std::move(options.strategy))
                                                          : RangeAllocator(count, options.fit)));
}

Result<Block> Arena::allocate(std::uint64_t size, std::string_view holder, std::uint64_t alignment) {
    State& state = *state_;
    if (size == 0 || !std::has_single_bit(alignment))
        return make_error(
            Code::invalid_argument, describe(size, holder, *state.memory),
            fmt::format("the size must be at least 1 and the alignment, {}, a power of two", alignment));
    const auto rounded = checked_align(size, state.granule);
    const std::uint64_t units = rounded ? *rounded / state.granule : ~std::uint64_t{0};
    const std::uint64_t steps = std::max(alignment / state.granule, std::uint64_t{1});
    // All that can throw comes first: a Block::State with an id frees it.
    auto made = std::make_shared<Block::State>(state_, holder);
    const std::lock_guard lock(state.lock);
    if (units > RangeAllocator::max_units || steps > RangeAllocator::max_units)
        return state.refusal(size, holder, alignment);
    const auto got =
        state.ranges.allocate(static_cast<std::uint32_t>(units), static_cast<std::uint32_t>(steps));
    if (!got) return state.refusal(size, holder, alignment);
    made->offset = got->start * state.granule;
    made->size = *rounded;
    made->id = got->id;
    state.add(*made);
    Block block;
    block.state_ = std::move(made);
    return block;
}

const std::shared_ptr<Memory>& Arena::memory() const noexcept {
    return state_->memory;
}
std::uint64_t Arena::granule() const noexcept {
    return state_->granule;
}
std::string_view Arena::strategy() const noexcept {
    return state_->ranges.strategy();
}

ArenaStatistics Arena::statistics() const {
    const std::lock_guard lock(state_->lock);
    return state_->statistics();
}

std::vector<ArenaHolding> Arena::holdings() const {
    const std::lock_guard lock(state_->lock);
    return state_->holdings();
}

} // namespace share
