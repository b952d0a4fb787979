// SPDX-License-Identifier: MIT
// Joined memory: blocks of one or several Memories as one dma-buf, contiguous for whoever maps it, in the
// order of the list: a device or a CPU sees one range, without a byte being copied.
//
// The blocks' pages stay where they are and keep their old views: both show the same bytes. The joined Memory
// keeps the Memories alive and pins the blocks' pages as long as its dma-buf lives. Ownership is counted for
// each Buffer by itself: whoever uses the blocks and the joined memory at the same time orders that.
// Thread: any. Sizes and offsets are in bytes. Source: udmabuf.h (UDMABUF_CREATE_LIST).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <share/api.hpp>
#include <share/memory.hpp>

namespace share {

/// Bytes [offset, offset + length) of `memory`, both multiples of the page size.
struct MemoryRange {
    std::shared_ptr<Memory> memory;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

/// The blocks one behind the other as one Memory of kind dma-buf, heap "joined". Each Memory must be a memfd
/// or hugetlb file that cannot shrink (heaps memfd, udmabuf, memfd-huge, or imported); no byte may be in two
/// blocks. A CPU may map it where it may map all of them. Errors: invalid_argument (no block, alignment,
/// outside its memory, overlap: naming the block), unsupported (memory of another kind, read-only here, or
/// sealed against writing), limit (naming udmabuf's list_limit or size_limit_mb and where to raise it, or
/// this process's own limit of pinned bytes, accounting.hpp), unavailable and denied (/dev/udmabuf).
SHARE_API Result<std::shared_ptr<Memory>> join(std::span<const MemoryRange> blocks, std::string_view name);

} // namespace share
