// SPDX-License-Identifier: MIT
#include <share/range_allocator.hpp>

#include "memory/best_fit.hpp"
#include "memory/good_fit.hpp"
#include "memory/range_map.hpp"

namespace share {

RangeAllocator::RangeAllocator(std::uint32_t units, Fit fit) {
    if (fit == Fit::good)
        impl_ = std::make_unique<RangeMap<GoodFit>>(units, std::make_unique<GoodFit>());
    else
        impl_ = std::make_unique<RangeMap<BestFit>>(units, std::make_unique<BestFit>(units));
}

RangeAllocator::RangeAllocator(std::uint32_t units, std::unique_ptr<FitStrategy> strategy)
    : impl_(std::make_unique<RangeMap<FitStrategy>>(units, std::move(strategy))) {}

RangeAllocator::RangeAllocator(RangeAllocator&&) noexcept = default;
RangeAllocator& RangeAllocator::operator=(RangeAllocator&&) noexcept = default;
RangeAllocator::~RangeAllocator() = default;

void RangeAllocator::reserve(std::size_t blocks) {
    impl_->reserve(blocks);
}

std::optional<RangeAllocator::Allocation> RangeAllocator::allocate(std::uint32_t units,
                                                                   std::uint32_t alignment) {
    return impl_->allocate(units, alignment);
}

void RangeAllocator::free(RangeId id) noexcept {
    impl_->free(id);
}

RangeAllocator::Range RangeAllocator::block(RangeId id) const noexcept {
    assert(id > Impl::begin && id < impl_->table().size());
    return impl_->block(id);
}

RangeAllocator::Statistics RangeAllocator::statistics() const noexcept {
    return impl_->statistics();
}

std::string_view RangeAllocator::strategy() const noexcept {
    return impl_->strategy();
}

std::vector<RangeAllocator::Range> RangeAllocator::ranges() const {
    std::vector<Range> all;
    const auto& table = impl_->table();
    for (RangeId id = Impl::begin; id != Impl::end; id = table[id].after) {
        const Range block = impl_->block(id);
        if (id != Impl::begin) all.push_back(block);
        if (table[id].gap > 0) all.push_back({block.start + block.units, table[id].gap, true});
    }
    return all;
}

} // namespace share
