// SPDX-License-Identifier: MIT
// Huge pages: the kernel's pools (hugetlb), transparent ones in shmem files, and what a mapping really has.
// Thin; no policy. Sizes are in bytes. Thread: any.
// Source: hugetlbpage.rst, transhuge.rst, memfd_create(2), madvise(2), proc_pid_smaps(5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <share/memory.hpp>

namespace share::os {

struct HugePool {
    std::size_t page_size = 0;
    std::uint64_t total = 0, free = 0, reserved = 0; ///< pages; reserved ones are promised but still free
    std::string setting;                             ///< the file in which root sets `total`
};
/// One for each size that the kernel knows, smallest first; empty without hugetlb.
std::vector<HugePool> huge_pools();

/// A memfd of pages of `page_size`; `size` must be a multiple of it. No page is reserved yet.
Result<UniqueFd> create_huge_memfd(const std::string& name, std::uint64_t size, std::size_t page_size,
                                   unsigned seals);
/// Reserves all pages of a hugetlb file, so that touching them cannot fail for want of pages. They stay
/// reserved for the file and are not touched. Errors: out_of_memory.
Result<void> reserve_pages(int fd, std::uint64_t size);

/// What one transparent huge page has; 0 where the kernel has none.
std::size_t transparent_page_size();
inline constexpr const char* shmem_setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
/// The chosen word of shmem_enabled ("never", "advise", ...) for memfds; empty where there is none.
std::string shmem_huge_mode();

/// As map_shared, at an address that is a multiple of `alignment` (a power of two above the page size).
Result<std::span<std::byte>> map_aligned(int fd, std::uint64_t size, Access access, std::size_t alignment);
/// Huge pages shall come when pages are touched. False where the kernel knows no such advice.
bool advise_huge(std::span<std::byte> bytes) noexcept;
/// Touches all pages and has them put together into huge ones now, whatever the settings say but "deny".
/// Returns without complaint when some stay small; see smaps_of().
void collapse_huge(std::span<std::byte> bytes) noexcept;

struct SmapsSums {
    std::uint64_t resident = 0; ///< of the mapping, huge ones included
    std::uint64_t huge = 0;     ///< of these, mapped as huge pages
    std::size_t page_size = 0;  ///< KernelPageSize: the smallest of the mappings
};
/// What /proc/self/smaps says of the mappings inside `bytes`.
Result<SmapsSums> smaps_of(std::span<const std::byte> bytes);

} // namespace share::os
