// SPDX-License-Identifier: MIT
// What the kernel says of an fd, memfds and their seals. Thin; no policy. Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace share::os {

struct Status {
    std::uint64_t device = 0, inode = 0, size = 0;
    unsigned mode = 0;          ///< st_mode
    std::uint64_t fs_type = 0;  ///< statfs f_type
    std::uint64_t fs_block = 0; ///< statfs f_bsize: the huge page size on hugetlbfs
    int flags = 0;              ///< F_GETFL
};
inline constexpr std::uint64_t fs_tmpfs = 0x01021994, fs_hugetlbfs = 0x958458f6, fs_dmabuf = 0x444d4142;

Result<Status> status(int fd);
/// A dma-buf's size: lseek(SEEK_END), as dma-buf.rst documents.
Result<std::uint64_t> seek_end(int fd);

/// A memfd of `size` bytes with `seals` (F_SEAL_*) set; not executable where the kernel knows that. `flags`:
/// MFD_HUGETLB with a size, or nothing.
Result<UniqueFd> create_memfd(const std::string& name, std::uint64_t size, unsigned seals,
                              unsigned flags = 0);
/// 0 for files that know no seals.
unsigned seals(int fd) noexcept;
Result<void> add_seals(int fd, unsigned seals);
Result<UniqueFd> duplicate(int fd);
/// What /proc/self/fd says of an fd: a path, "/memfd:NAME (deleted)", "anon_inode:[eventpoll]". Empty without
/// /proc. Others may have chosen it: not clean.
std::string link_of(int fd);
Result<UniqueFd> open_device(const std::string& path);
std::size_t page_size() noexcept;
/// What new allocations can have without swapping (MemAvailable), in bytes; nothing where the system does not
/// say.
std::optional<std::uint64_t> available_memory();

} // namespace share::os
