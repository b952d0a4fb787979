// SPDX-License-Identifier: MIT
// What another process holds: its dma-bufs and shared files, opened and mapped; and access to their bytes, as
// root. The page frames of a dma-buf's mapping are not in pagemap, so the proof that two processes share one
// is its inode in both, and bytes written on one side and read on the other.
// Source: pidfd_getfd(2), dma-buf.rst (fdinfo), proc(5).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <share/unique_fd.hpp>

namespace testing {

struct OpenFile {
    int fd = -1; ///< its number there
    std::uint64_t inode = 0;
    std::string path; ///< "/dmabuf:NAME", "/memfd:NAME (deleted)"
};
/// Open files of `pid` whose path begins with `prefix`.
std::vector<OpenFile> open_files(pid_t pid, const std::string& prefix);
/// Inodes of the dma-bufs that `pid` has open, has mapped.
std::vector<std::uint64_t> open_dmabufs(pid_t pid);
std::vector<std::uint64_t> mapped_dmabufs(pid_t pid);
/// A duplicate of that fd of that process; fails the test when it cannot be had.
share::UniqueFd take_fd(pid_t pid, int fd);

/// Writes, reads through a new mapping of the file, bracketed where it is a dma-buf.
void write_bytes(int fd, std::uint64_t offset, std::span<const std::byte> bytes);
std::vector<std::byte> read_bytes(int fd, std::uint64_t offset, std::size_t size);
/// Through that process's own page tables (process_vm_readv); nothing where it has no such pages.
std::optional<std::vector<std::byte>> read_of(pid_t pid, std::uint64_t address, std::size_t size);

} // namespace testing
