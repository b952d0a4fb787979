// SPDX-License-Identifier: MIT
// BufferArena: many small buffers of any layouts in few memories: cursors, icons, tiles, thumbnails.
//
// Each small buffer as a memfd of its own would cost an fd, a mapping and a system call or three; here they
// share one, and each is a page-aligned range of it, so each exported dma-buf is of that range alone: its own
// fences, its own pages pinned. What is larger than a chunk gets a memory of its own. Equal buffers of a
// stream belong into a Pool. Beware: export_memfd() names the whole shared file, so give that to parties only
// who may see one another's buffers; a dma-buf shows its own pages only. See Arena for what a freed range may
// still show. Owner: buffers keep what they lie in; the Heap must outlive the BufferArena. Thread: any;
// internally locked.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <share/api.hpp>
#include <share/arena.hpp>
#include <share/buffer.hpp>
#include <share/heap.hpp>

namespace share {

struct BufferArenaOptions {
    std::uint64_t chunk = std::uint64_t{4} << 20;   ///< bytes of each Memory, rounded to the heap's pages
    std::uint64_t limit = std::uint64_t{256} << 20; ///< of all together
};

class SHARE_API BufferArena {
public:
    /// `name` shows in /proc/PID/maps. Takes no memory yet.
    BufferArena(Heap& heap, std::string_view name, const BufferArenaOptions& options = {});
    BufferArena(BufferArena&&) noexcept;
    BufferArena& operator=(BufferArena&&) noexcept;
    ~BufferArena();

    /// A buffer whose bytes go back when its last share goes. `holder` is for reports: "cursor".
    /// Errors: limit (the options'; naming the holders), or as Heap::allocate.
    Result<std::shared_ptr<Buffer>> make(const Layout& layout, std::string_view holder);
    /// Gives empty memories back to the system; make() does so for all but one.
    void trim();

    /// The sum over all memories; largest_free is of one of them.
    ArenaStatistics statistics() const;
    std::size_t memories() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace share
