// SPDX-License-Identifier: MIT
// What /proc tells of the shared memory that one process holds: fds, fdinfo and maps, nothing else. No fd of
// the other process is opened, only looked at (O_PATH), and no file of a disk or network is touched.
//
// Everything that a process may choose itself (its name, the names of its memory) comes out clean: no control
// characters, valid UTF-8, bounded. Errors: unavailable (there is none, or it ended meanwhile), denied.
// Source: proc(5), Documentation/filesystems/proc.rst (fdinfo of dma-bufs), drivers/dma-buf/dma-buf.c.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <share/result.hpp>

namespace info {

enum class HeldKind : std::uint8_t { memfd, tmpfs, hugetlbfs, dmabuf, sysv };

/// One kernel object of shared memory, and how a process holds it.
struct Held {
    HeldKind kind = HeldKind::memfd;
    /// Of a System V segment: the inode of its IPC namespace, and its id.
    std::uint64_t device = 0, inode = 0;
    std::string name;
    std::string exporter;                  ///< of a dma-buf: "udmabuf", "system", "drm"
    std::uint64_t size = 0;                ///< 0: unknown
    std::optional<std::uint64_t> resident; ///< pages that exist, in memory or swap
    std::vector<int> fds;
    std::uint64_t mapped = 0; ///< bytes, over all mappings

    bool same_object(const Held& other) const noexcept {
        return kind == other.kind && device == other.device && inode == other.inode;
    }
};

/// What a udmabuf made by libshare says of itself by its name: "memfd:INODE+0xOFFSET", "hugetlb:INODE+0x...".
struct ViewOf {
    HeldKind kind = HeldKind::memfd;
    std::uint64_t inode = 0, offset = 0;
};
std::optional<ViewOf> view_of(const Held& held) noexcept;

struct ProcessView {
    pid_t pid = 0;
    std::string name;
    uid_t uid = 0;
    std::vector<Held> held;
};

share::Result<ProcessView> read_process(pid_t pid);
/// All that there are now, without threads of the kernel.
std::vector<pid_t> all_processes();
/// Control characters, invisible direction marks and broken UTF-8 become '?'; at most 255 bytes.
std::string clean(std::string_view text);

} // namespace info
