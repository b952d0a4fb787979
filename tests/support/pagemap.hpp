// SPDX-License-Identifier: MIT
// What the kernel says of other processes' memory: the proof that two mappings are the same pages.
// Source: Documentation/admin-guide/mm/pagemap.rst (page frame numbers are for CAP_SYS_ADMIN only).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace testing {

/// One line of /proc/PID/maps.
struct MapEntry {
    std::uint64_t begin = 0, end = 0, offset = 0;
    std::string permissions; ///< "rw-s"
    std::uint64_t inode = 0;
    std::string path; ///< "/memfd:share-producer (deleted)", "/SYSV00000000 (deleted)"
};

std::vector<MapEntry> maps_of(pid_t pid);
/// Mappings of the file with this inode number whose path contains `word` (device numbers are not compared:
/// maps prints the major and minor of a kernel-internal mount).
std::vector<MapEntry> maps_of_inode(pid_t pid, std::uint64_t inode, const std::string& word);

/// Page frame numbers of `pages` pages of a mapping, counted from byte `file_offset` of its file; 0 where a
/// page is not present in that process's page table. Empty when pagemap cannot be read.
std::vector<std::uint64_t> page_frames(pid_t pid, const MapEntry& entry, std::uint64_t file_offset,
                                       std::size_t pages);
/// True when pagemap shows page frame numbers to us.
bool page_frames_visible();

} // namespace testing
