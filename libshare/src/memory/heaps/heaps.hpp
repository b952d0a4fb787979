// SPDX-License-Identifier: MIT
// The heaps of libshare itself, one a file. Each opens what it needs or says why it cannot.
#pragma once

#include <share/heap.hpp>
#include <share/layout.hpp>

namespace share {

/// Sealed memfds: swappable, shareable by fd, no dma-buf.
Result<std::unique_ptr<Heap>> open_memfd_heap();
/// The same memfds, and dma-bufs of page-aligned ranges of them, made when first asked for.
Result<std::unique_ptr<Heap>> open_udmabuf_heap();
/// System V segments for X servers that take no fds.
Result<std::unique_ptr<Heap>> open_sysv_heap();
/// One heap "dma-heap:NAME" for each node of /dev/dma_heap; "dma-heap:system" with the reason where there is
/// none.
void add_dma_heaps(HeapTable& table);

/// What memfd and udmabuf share: F_SEAL_SHRINK makes it safe to read for any peer and is what udmabuf asks;
/// GROW and SEAL keep it so. Never WRITE or FUTURE_WRITE: udmabuf refuses these.
struct SealedFile {
    UniqueFd fd;
    std::uint64_t size = 0;
};
Result<SealedFile> create_sealed_file(std::uint64_t size, std::string_view name);
Traits memfd_traits() noexcept;

} // namespace share
