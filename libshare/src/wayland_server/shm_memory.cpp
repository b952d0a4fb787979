// SPDX-License-Identifier: MIT
#include "shm_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include <fmt/format.h>

#include <share/import.hpp>
#include <share/layout.hpp>

namespace share::wayland_server {

Result<std::span<std::byte>> ShmMemory::do_map(Access) {
    // munmap wants whole huge pages; the file may be shorter than either, that is legal until it is read.
    const auto length = checked_align(size(), traits().page_size).value_or(size());
    void* start = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd(), 0);
    if (start == MAP_FAILED)
        return error_from_errno(errno, fmt::format("mapping a wl_shm pool of {} bytes", size()),
                                "the fd must be readable memory");
    return std::span(static_cast<std::byte*>(start), length);
}

Result<Traits> shm_traits(int fd, std::uint64_t size, bool accept_disk_files) {
    Traits traits;
    traits.writable = false; // a compositor only reads
    traits.cache = CachePolicy::cached;
    struct stat status{};
    if (::fstat(fd, &status) < 0) return error_from_errno(errno, "inspecting the fd of a wl_shm pool");
    auto facts = inspect_fd(fd);
    if (!facts) {
        const bool regular = S_ISREG(status.st_mode) && facts.error().code == Code::unsupported;
        if (!regular || !accept_disk_files) return std::move(facts).error();
        traits.kind = MemoryKind::foreign;
        traits.can_shrink = true;
        return traits;
    }
    const bool stays = facts->kind == MemoryKind::dmabuf || (!facts->can_lose_pages() && facts->size >= size);
    traits.kind = stays ? facts->kind : MemoryKind::foreign;
    traits.can_shrink = !stays;
    traits.exports = facts->kind == MemoryKind::dmabuf ? Exports::dmabuf : Exports::memfd;
    if (facts->kind == MemoryKind::hugetlbfs) traits.page_size = static_cast<std::size_t>(status.st_blksize);
    traits.swappable = facts->kind == MemoryKind::memfd || facts->kind == MemoryKind::tmpfs;
    return traits;
}

} // namespace share::wayland_server
