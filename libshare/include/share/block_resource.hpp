// SPDX-License-Identifier: MIT
// BlockResource: a std::pmr::memory_resource whose memory is one block of an Arena.
//
// A malloc pool in shared memory or in huge pages: standard containers, and the standard's own pools on top
// of it, keep their objects in the block; the bookkeeping is not there but in this process' own tables.
// Containers of std::pmr hold plain pointers: they work in this process only. What others map elsewhere needs
// offset pointers (examples/shared_tree.cpp). Owner: keeps its block; must outlive what was allocated from
// it. Thread: any; internally locked. Errors: allocate() throws std::bad_alloc when the block is full. Cost:
// as RangeAllocator. Source: [mem.res] of the C++ standard.
#pragma once

#include <memory>
#include <memory_resource>

#include <share/api.hpp>
#include <share/arena.hpp>

namespace share {

class SHARE_API BlockResource final : public std::pmr::memory_resource {
public:
    /// `granule` as in ArenaOptions; what is allocated takes at least so much, and has that alignment.
    /// Errors: as Memory::view for writing; invalid_argument, limit.
    static Result<std::unique_ptr<BlockResource>> create(Block block, std::uint64_t granule = 16,
                                                         Fit fit = Fit::best);
    ~BlockResource() override;

    const Block& block() const noexcept;
    ArenaStatistics statistics() const;

private:
    struct State;
    explicit BlockResource(std::unique_ptr<State> state) noexcept;
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* at, std::size_t bytes, std::size_t alignment) override;
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override;
    std::unique_ptr<State> state_;
};

} // namespace share
