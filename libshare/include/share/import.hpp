// SPDX-License-Identifier: MIT
// Import: foreign fds and SysV segments become Memory, if they are on the short list.
//
// Accepted: dma-bufs, memfds and other shmem or hugetlb files of sufficient size. Everything else (pipe,
// socket, device, disk or network file, another process's mapping, O_PATH fd, ...) is refused with what it is
// and what to do instead, and never mapped.
//
// For a party whose needs are known (Requirements), memory is registered: kind, size, seals, alignments,
// contiguity, cache policy and handles are checked then and not later. What nobody tells is unknown, and
// unknown does not meet a need. The kernel tells who exported a dma-buf: what is known of the heap of that
// name counts.
// Thread: any. Source: memfd_create(2), fcntl(2) F_GET_SEALS, dma-buf.rst, shmctl(2).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/memory.hpp>
#include <share/requirements.hpp>

namespace share {

/// What the kernel says of an fd. Asks only; maps nothing, seals nothing.
struct FdFacts {
    MemoryKind kind = MemoryKind::memfd;
    std::uint64_t size = 0;
    unsigned seals = 0; ///< F_SEAL_*; 0 for dma-bufs
    bool readable = false;
    bool writable = false;
    Inode inode;
    /// Of a dma-buf: "udmabuf", "system", "drm"; empty where /proc does not tell.
    std::string exporter;

    /// True when reading all `size` bytes may raise SIGBUS, now or later: a file that its owner may truncate,
    /// and huge pages in which he may punch holes that nobody can fill again while the machine has no free
    /// ones. Such memory is read inside a guard (sigbus_guard.hpp) or not at all.
    SHARE_API bool can_lose_pages() const noexcept;
};
/// Errors: invalid_argument (not an fd, O_PATH), unsupported (not on the short list, naming what it is).
SHARE_API Result<FdFacts> inspect_fd(int fd);

struct ImportRules {
    std::uint64_t min_size = 1;
    /// A file that can lose pages (see FdFacts): refuse it, or take it with traits().can_shrink set.
    bool accept_shrinkable = false;
    /// We may add F_SEAL_SHRINK ourselves. Never set by a server on a client's fd.
    bool may_seal = false;
    bool accept_memfd = true; ///< shmem and hugetlb files
    bool accept_dmabuf = true;
    bool need_write = false;
    bool device_only = false; ///< it shall have no CPU mapping here
};
/// Takes the fd in any case. Errors: as inspect_fd, plus denied, invalid_argument (too small).
SHARE_API Result<std::shared_ptr<Memory>> import_fd(UniqueFd fd, const ImportRules& rules = {});

struct SysvRules {
    std::uint64_t min_size = 1;
    /// Refuse segments of another uid, or that anybody beyond the owner may use.
    bool own_and_private = true;
};
/// Attaches segment `shmid` for the life of the Memory. IPC_STAT before and after: ids are reused.
SHARE_API Result<std::shared_ptr<Memory>> import_sysv(int shmid, const SysvRules& rules = {});

/// What goes with memory that is registered.
struct Registration {
    ImportRules rules = {}; ///< its need_write and device_only follow from the party, too
    ByteRange range = {};   ///< the part that is meant; a length of 0: to be known from elsewhere, or none
    /// What a trusted maker says and no kernel tells: Heap::name(), and the device whose memory it is. Empty:
    /// unknown.
    std::string heap = {}, device = {};
};
/// Foreign memory for `party`: as import_fd() above, and held against every need of the party that concerns
/// memory. Takes the fd in any case. Errors: as above, and unsupported, naming the need, what the memory is
/// like and what to do.
SHARE_API Result<std::shared_ptr<Memory>> import_fd(const Requirements& party, UniqueFd fd,
                                                    const Registration& told = {});
/// The same with a picture in it that begins at told.range.offset: its format, strides, offsets and
/// sizes are checked too.
SHARE_API Result<std::shared_ptr<Buffer>> import_buffer(const Requirements& party, UniqueFd fd,
                                                        const Layout& layout, const Registration& told = {},
                                                        BufferOptions options = {});
SHARE_API Result<std::shared_ptr<Memory>> import_sysv(const Requirements& party, int shmid,
                                                      const SysvRules& rules = {});

} // namespace share
