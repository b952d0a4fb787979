// SPDX-License-Identifier: MIT
// Unchanged: what every test of suite "vm" begins with. At the end of its scope this process has the fds that
// it had, and the kernel the dma-bufs and shmem pages. Needs debugfs and is for tests that run alone in their
// VM, as all of them do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace testing {

/// One line of /sys/kernel/debug/dma_buf/bufinfo.
struct DmabufInfo {
    std::uint64_t size = 0, inode = 0;
    std::string exporter, name;
};
/// All dma-bufs of the machine.
std::vector<DmabufInfo> all_dmabufs();
/// /proc/meminfo's Shmem: memfds, tmpfs files and System V segments, in KiB.
std::uint64_t shmem_kib();
/// The value of the line "KEY:" of /proc/self/fdinfo/FD; empty where there is none.
std::string fdinfo(int fd, const std::string& key);

class Unchanged {
public:
    Unchanged();
    ~Unchanged();
    Unchanged(const Unchanged&) = delete;
    Unchanged& operator=(const Unchanged&) = delete;

private:
    std::size_t fds_, dmabufs_;
    std::uint64_t shmem_;
};

} // namespace testing
