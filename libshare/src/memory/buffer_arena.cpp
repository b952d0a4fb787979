// SPDX-License-Identifier: MIT
#include <share/buffer_arena.hpp>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <share/layout.hpp>

namespace share {

struct BufferArena::State {
    State(Heap& from, std::string_view n, const BufferArenaOptions& o) : heap(from), name(n), options(o) {}
    Heap& heap;
    const std::string name;
    const BufferArenaOptions options;
    mutable std::mutex lock;
    struct Chunk {
        Arena arena;
        bool for_one; ///< made for one large buffer: small ones that settled there would keep all of it
    };
    std::vector<Chunk> chunks;

    std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (const auto& chunk : chunks)
            sum += chunk.arena.memory()->size();
        return sum;
    }

    /// As the heap would round it; nothing where that overflows.
    std::optional<std::uint64_t> rounded(std::uint64_t size) const {
        const auto traits = heap.traits();
        return checked_align(size, std::max(traits.page_size, traits.largest_page));
    }

    /// A chunk that somebody frees a block of right now may stay until the next time.
    void trim(std::size_t keep) {
        std::erase_if(chunks, [&](const Chunk& chunk) {
            if (chunk.arena.statistics().blocks > 0) return false;
            if (keep == 0 || chunk.for_one) return true;
            --keep;
            return false;
        });
    }

    Result<Block> allocate(std::uint64_t size, std::string_view holder);
    Result<Block> allocate_from_new(std::uint64_t size, std::string_view holder);
};

Result<Block> BufferArena::State::allocate(std::uint64_t size, std::string_view holder) {
    for (auto& chunk : chunks)
        if (!chunk.for_one && chunk.arena.statistics().largest_free >= size)
            if (auto block = chunk.arena.allocate(size, holder)) return block;
    trim(0);
    return allocate_from_new(size, holder);
}

Result<Block> BufferArena::State::allocate_from_new(std::uint64_t size, std::string_view holder) {
    const std::uint64_t taken = bytes();
    const auto chunk_size = rounded(options.chunk), wanted = rounded(std::max(size, options.chunk));
    if (!chunk_size || !wanted || taken > options.limit || *wanted > options.limit - taken)
        return make_error(
            Code::limit, fmt::format("allocating {} bytes for '{}' from '{}'", size, holder, name),
            fmt::format("its {} memories of {} bytes have no room, and it may take {} bytes in all; drop "
                        "buffers or raise the limit",
                        chunks.size(), taken, options.limit));
    auto memory = heap.allocate(*wanted, name);
    if (!memory) return std::move(memory).error();
    ArenaOptions pages;
    pages.granule = (*memory)->traits().page_size;
    auto chunk = Arena::create(std::move(*memory), std::move(pages));
    if (!chunk) return std::move(chunk).error();
    chunks.push_back({std::move(*chunk), *wanted > *chunk_size});
    return chunks.back().arena.allocate(size, holder);
}

BufferArena::BufferArena(Heap& heap, std::string_view name, const BufferArenaOptions& options)
    : state_(std::make_unique<State>(heap, name, options)) {}
BufferArena::BufferArena(BufferArena&&) noexcept = default;
BufferArena& BufferArena::operator=(BufferArena&&) noexcept = default;
BufferArena::~BufferArena() = default;

Result<std::shared_ptr<Buffer>> BufferArena::make(const Layout& layout, std::string_view holder) {
    const std::lock_guard lock(state_->lock);
    auto block = state_->allocate(layout.size(), holder);
    if (!block) return std::move(block).error();
    state_->trim(1);
    return block->make_buffer(layout);
}

void BufferArena::trim() {
    const std::lock_guard lock(state_->lock);
    state_->trim(0);
}

ArenaStatistics BufferArena::statistics() const {
    const std::lock_guard lock(state_->lock);
    ArenaStatistics sum;
    for (const auto& chunk : state_->chunks) {
        const auto one = chunk.arena.statistics();
        sum.size += one.size;
        sum.used += one.used;
        sum.free += one.free;
        sum.largest_free = std::max(sum.largest_free, one.largest_free);
        sum.blocks += one.blocks;
        sum.free_blocks += one.free_blocks;
    }
    return sum;
}

std::size_t BufferArena::memories() const {
    const std::lock_guard lock(state_->lock);
    return state_->chunks.size();
}

} // namespace share
