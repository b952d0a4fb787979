// SPDX-License-Identifier: MIT
// Arena: divides one Memory into blocks and takes them back; Block: a share of one of them.
//
// For users of whom only some are busy at a time: ten that need 1 MiB each, five at once, share 5 MiB. Blocks
// are counted: copying a Block is "get", dropping it "put", and the last put frees it; free neighbours merge
// at once. All bookkeeping lies in this process' own tables and never in the Memory: a peer that scribbles
// there cannot break it. Bytes of a fresh block are whatever was there before. A block that is freed while a
// peer still has an fd of it will be seen by that peer when it is given out again: keep it until the peer is
// done. Owner: blocks keep the Memory and the arena's tables alive. Thread: any; internally locked. Units:
// bytes. Source: Nazarewicz, "Physical Memory Management", 2009. For the cost see range_allocator.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/memory.hpp>
#include <share/range_allocator.hpp>

namespace share {

class Buffer;
class Layout;

struct ArenaOptions {
    /// Offsets and lengths are multiples of it: a power of two. 64 is a cache line, so no two blocks share
    /// one; blocks that are to be exported as dma-bufs want the memory's page size. Up to it alignment costs
    /// nothing.
    std::uint64_t granule = 64;
    Fit fit = Fit::best;
    /// Instead of `fit`: a strategy of your own.
    std::unique_ptr<FitStrategy> strategy;
};

struct ArenaStatistics {
    std::uint64_t size = 0; ///< of the arena: used and free
    std::uint64_t used = 0;
    std::uint64_t free = 0;
    std::uint64_t largest_free = 0;
    std::size_t blocks = 0;      ///< in use
    std::size_t free_blocks = 0; ///< pieces that the free bytes are in
    /// 0: all free bytes lie together; towards 1: in small pieces. 1 - largest_free / free.
    double fragmentation() const noexcept {
        return free == 0 ? 0 : 1 - static_cast<double>(largest_free) / static_cast<double>(free);
    }
};

/// One block and who said that he is its holder.
struct ArenaHolding {
    std::uint64_t offset = 0, size = 0;
    std::string holder;
    long shares = 0; ///< Blocks (and buffers over them) that keep it
};

class SHARE_API Block {
public:
    struct State;
    Block() noexcept = default;
    explicit operator bool() const noexcept { return state_ != nullptr; }

    std::uint64_t offset() const noexcept; ///< in the Memory
    std::uint64_t size() const noexcept;   ///< at least what was asked for, up to the granule
    std::string_view holder() const noexcept;
    long use_count() const noexcept { return state_.use_count(); }
    /// The arena's Memory; this pointer, too, is a share of the block.
    std::shared_ptr<Memory> memory() const noexcept;
    /// The block's bytes as this process sees them. Errors: as Memory::view.
    Result<std::span<std::byte>> view(Access access) const;
    /// A Buffer over the block, which keeps it. Errors: invalid_argument (the block is too small).
    Result<std::shared_ptr<Buffer>> make_buffer(const Layout& layout) const;

private:
    friend class Arena;
    std::shared_ptr<const State> state_;
};

class SHARE_API Arena {
public:
    struct State;
    /// Over all of `memory` that makes whole granules. Errors: invalid_argument (granule, or memory smaller
    /// than one), limit (more than 2^31 - 1 granules: take a larger one).
    static Result<Arena> create(std::shared_ptr<Memory> memory, ArenaOptions options = {});
    Arena(Arena&&) noexcept;
    Arena& operator=(Arena&&) noexcept;
    ~Arena();

    /// `size` at least 1, rounded up to granules; the offset is a multiple of `alignment`, a power of two.
    /// `holder` is for errors and reports: "scaler". Errors: out_of_memory, which tells what is free and who
    /// holds the rest; invalid_argument.
    Result<Block> allocate(std::uint64_t size, std::string_view holder, std::uint64_t alignment = 1);

    const std::shared_ptr<Memory>& memory() const noexcept;
    std::uint64_t granule() const noexcept;
    std::string_view strategy() const noexcept;
    ArenaStatistics statistics() const;
    /// Every block, by address.
    std::vector<ArenaHolding> holdings() const;

private:
    explicit Arena(std::shared_ptr<State> state) noexcept;
    std::shared_ptr<State> state_;
};

} // namespace share
