// SPDX-License-Identifier: MIT
#include "os/sysv.hpp"

#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace share::os {
namespace {

const char* limit_of(int os_errno) noexcept {
    switch (os_errno) {
    case EINVAL:
        return "larger than /proc/sys/kernel/shmmax allows";
    case ENOSPC:
        return "the number of segments (/proc/sys/kernel/shmmni) or their sum (/proc/sys/kernel/shmall) is "
               "exhausted";
    case ENOSYS:
        return "this kernel was built without System V IPC";
    default:
        return "";
    }
}

struct Removal {
    int id;
    ~Removal() { ::shmctl(id, IPC_RMID, nullptr); }
};

} // namespace

Result<Segment> create_segment(std::uint64_t size) {
    const auto operation = [&] { return fmt::format("creating a System V segment of {} bytes", size); };
    const int id = ::shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
    if (id < 0) return error_from_errno(errno, operation(), limit_of(errno));
    const Removal removal{id}; // whatever happens next, it goes with its last user
    auto bytes = attach_segment(id, size, Access::read_write);
    if (!bytes) return std::move(bytes).error();
    return Segment{id, *bytes};
}

Result<SegmentStatus> segment_status(int id) {
    struct shmid_ds ds{};
    if (::shmctl(id, IPC_STAT, &ds) < 0)
        return error_from_errno(errno, fmt::format("asking for System V segment {}", id),
                                errno == EINVAL || errno == EIDRM ? "there is no such segment" : "");
    return SegmentStatus{ds.shm_segsz, ds.shm_perm.uid, ds.shm_perm.cuid, ds.shm_perm.mode & 0777U,
                         ds.shm_ctime, ds.shm_cpid};
}

Result<std::span<std::byte>> attach_segment(int id, std::uint64_t size, Access access) {
    void* address = ::shmat(id, nullptr, writes(access) ? 0 : SHM_RDONLY);
    // shmat's own failure value is (void*)-1.
    if (reinterpret_cast<std::intptr_t>(address) == -1)
        return error_from_errno(errno, fmt::format("attaching System V segment {} of {} bytes", id, size));
    return std::span(static_cast<std::byte*>(address), size);
}

void detach_segment(std::span<std::byte> bytes) noexcept {
    const int saved = errno;
    ::shmdt(bytes.data());
    errno = saved;
}

unsigned effective_uid() noexcept {
    return ::geteuid();
}

} // namespace share::os
