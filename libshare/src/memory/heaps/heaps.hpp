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
/// "memfd-huge:SIZE" for each pool of huge pages (hugetlb), "memfd-huge:thp" for transparent ones, and before
/// them "memfd-huge": the same as the first of these that this machine can give, chosen when the table is
/// made. hugetlb pages are reserved at allocation, so that touching them cannot fail for want of pages;
/// transparent ones are asked for and come where the kernel finds them (page_report() tells). Where
/// shmem_enabled says "never", they are put together when the memory is first mapped, which touches all of
/// it.
void add_huge_heaps(HeapTable& table);
/// One heap "dma-heap:NAME" for each node of /dev/dma_heap; "dma-heap:system" with the reason where there is
/// none.
void add_dma_heaps(HeapTable& table);
/// What is known of the dma-heap with this name in /dev/dma_heap.
Traits dma_heap_traits(std::string_view node);

/// What memfd and udmabuf share: F_SEAL_SHRINK makes it safe to read for any peer and is what udmabuf asks;
/// GROW and SEAL keep it so. Never WRITE or FUTURE_WRITE: udmabuf refuses these.
struct SealedFile {
    UniqueFd fd;
    std::uint64_t size = 0;
};
Result<SealedFile> create_sealed_file(std::uint64_t size, std::string_view name);
Traits memfd_traits() noexcept;

/// /dev/udmabuf, or why it cannot be had and what to do.
Result<std::shared_ptr<const UniqueFd>> open_udmabuf_device();
/// Makes a dma-buf of `size` bytes of the memfd and proves that it shows the same pages.
Result<void> try_udmabuf(int device, int memfd, std::uint64_t size);

} // namespace share
