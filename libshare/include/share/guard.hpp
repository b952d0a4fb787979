// SPDX-License-Identifier: MIT
// Guard: holds CPU accesses to a Buffer back while somebody else owns it.
//
// The law says that CPU and devices never touch an exclusive buffer at the same time; brackets (Mapping,
// Attachment) keep it between those who use them. A guard keeps it against everybody else in this process: a
// thread that touches the buffer's memory through our mapping without a bracket waits until it may, and its
// read or write then happens as if it had come later. This is what the kernel's dma-buf was first proposed
// to do ("unmap at map() time, block the fault until unmap()"), done from user space.
//
// When an access waits:
//  - while an Attachment of this process is had, or a fence of its work is pending on the buffer's dma-buf;
//  - when the buffer's ownership is shared with other processes: whenever this one has no bracket. Such an
//    access takes the ownership itself, for a lease of some milliseconds, as soon as nobody else has it; a
//    holder that is killed has none. Brackets then cost two changes of the mapping each. It tries every 5 ms
//    and does not queue: against a process that takes each next hold at once it may try for long.
// What a guard cannot do: a system call on held memory (write(2) from it) fails with EFAULT instead of
// waiting. Other mappings of the same bytes (a second import, another process) are not watched. A thread that
// holds an Attachment and then touches the buffer without a bracket waits for itself: `report` tells. A
// forked child must not use a guarded buffer: what was held back there ends in SIGSEGV.
//
// Where a bracket and an attachment both read, readers go on and writers wait. With dma-bufs, and on kernels
// that track no writes to shared memory, nobody waits until that bracket ends: Counts::unguarded counts this.
//
// Where userfaultfd is refused (seccomp filters, Linux before 5.11) mprotect takes its place, if the program
// has called install_guard_reporter(): then a wrong access ends in a report on standard error and SIGSEGV.
// Too few fds, threads or memory are errors, and no reason for that.
//
// Owner: whoever made it; it keeps the buffer. Its end lets everybody go on, guarded no more. Thread: any;
// two threads serve all guards of a process, started with the first and gone with the last. Neither may the
// program touch guarded memory in `report`, for all held accesses wait for that call. Units: bytes,
// milliseconds. Source: userfaultfd(2), ioctl_userfaultfd(2), mremap(2).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <share/api.hpp>
#include <share/buffer.hpp>

namespace share {

enum class GuardMode : std::uint8_t {
    hold,   ///< a wrong access waits
    report, ///< a wrong access is told of and then let through: the first of each attachment's time, or of
            ///< each 100 ms of another process's
};

enum class GuardMeans : std::uint8_t {
    userfaultfd, ///< as said above
    mprotect,    ///< a wrong access ends in SIGSEGV (hold), or is told of by the signal's handler (report)
};

/// One access that came at the wrong time.
struct GuardReport {
    enum class What : std::uint8_t { still_held, let_through };
    What what = What::still_held;
    std::string buffer;         ///< "640x480 XR24 buffer in memfd 'frames'"
    std::string holder;         ///< "vivid still holds it"
    std::uintptr_t address = 0; ///< of the access; of its page before Linux 5.18
    std::uint64_t offset = 0;   ///< the same, in the memory that the buffer lies in
    bool write = false;
    pid_t thread = 0; ///< gettid(2)
    std::chrono::milliseconds waited{0};
    /// One line for a person.
    SHARE_API std::string text() const;
};

struct GuardOptions {
    GuardMode mode = GuardMode::hold;
    /// Called on a thread of the guards. In `hold` of an access that has waited for `report_after`, again
    /// after each further `report_after`; it goes on waiting. Nothing is ever ended by a guard.
    std::function<void(const GuardReport&)> report;
    std::chrono::milliseconds report_after{1000};
    /// The bytes between the buffer's end and the end of its last page belong to nobody else, as in a Pool.
    bool owns_last_page = false;
};

class SHARE_API [[nodiscard]] Guard {
public:
    struct Counts {
        std::uint64_t taken = 0;    ///< times that the CPU lost the buffer
        std::uint64_t given = 0;    ///< times that it got it back
        std::uint64_t held = 0;     ///< accesses that had to wait; one may count several times
        std::uint64_t leases = 0;   ///< times that such an access took the ownership
        std::uint64_t reported = 0; ///< calls of GuardOptions::report
        std::uint64_t unguarded =
            0; ///< times that a bracket read beside a device, and writers could not be held
        std::uint64_t waiting = 0; ///< threads that wait now, as far as is known (16 are told apart)
    };

    /// Nobody may hold the buffer now. Errors: invalid_argument (consistent; not on whole pages; its last
    /// page may be another buffer's), busy (held, or guarded already), unsupported (no file to map: SysV;
    /// tiled; device-only memory), unavailable (no userfaultfd and no reporter: the reason and what to do),
    /// limit.
    static Result<Guard> create(std::shared_ptr<Buffer> buffer, GuardOptions options = {});
    Guard(Guard&&) noexcept;
    Guard& operator=(Guard&&) noexcept;
    ~Guard();

    const std::shared_ptr<Buffer>& buffer() const noexcept;
    GuardMeans means() const noexcept;
    /// Why the means is mprotect.
    const std::optional<Error>& fallback_reason() const noexcept;
    Counts counts() const;

private:
    struct State;
    explicit Guard(std::unique_ptr<State> state) noexcept;
    std::unique_ptr<State> state_;
};

/// For programs that want a guard where there is no userfaultfd: writes what a wrong access did, where, and
/// who holds the buffer to standard error, then goes on as the handler that was there before. Never called by
/// a library. Idempotent. Errors: io.
SHARE_API Result<void> install_guard_reporter();
SHARE_API bool guard_reporter_installed() noexcept;

} // namespace share
