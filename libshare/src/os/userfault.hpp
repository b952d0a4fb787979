// SPDX-License-Identifier: MIT
// Userfault: ranges of this process's address space whose accesses wait. Thin; who may have a range is
// decided elsewhere.
//
// A range is taken in one atomic step: anonymous memory that is registered with userfaultfd moves over it by
// mremap, so no access ever meets a hole, and a store is either done before or waits. Given back, the file is
// mapped over it again and whoever waits is woken. System calls do not wait: on a taken range they fail with
// EFAULT (in User Mode Linux they wait, too), which is what lets a process without privileges have this
// (UFFD_USER_MODE_ONLY, Linux 5.11).
// Owner: whoever opened it. Destroying it wakes everybody; what is still taken then reads as zeros, so give
// it back first. Thread: hold_*() and let_go() from any thread, not from the listener: one thread of this
// object reads the events, and a take waits for it. Errors: denied, unsupported, limit, out_of_memory.
// Source: userfaultfd(2), ioctl_userfaultfd(2), mremap(2).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <share/memory.hpp>
#include <share/unique_fd.hpp>

namespace share::os {

/// The operation of each Error of Userfault::open().
inline constexpr const char* userfaultfd_operation = "opening a userfaultfd";

/// A thread that touched a range and waits.
struct HeldAccess {
    std::uintptr_t address = 0;
    bool write = false;
    pid_t thread = 0;
};

/// What a range shows when it is not taken.
struct FileRange {
    int fd = -1;
    std::uint64_t offset = 0; ///< in bytes, of whole pages
    Access access = Access::read_write;
};

class Userfault {
public:
    /// Told of each access that waits, on the events' own thread: must neither touch a taken range nor wait
    /// for a thread that takes one.
    class Listener {
    public:
        virtual void held(const HeldAccess& access) noexcept = 0;

    protected:
        ~Listener() = default;
    };

    static Result<std::unique_ptr<Userfault>> open(Listener& listener);
    ~Userfault();
    Userfault(const Userfault&) = delete;
    Userfault& operator=(const Userfault&) = delete;

    /// Whether hold_writes() can be tried: memfds where the kernel tracks writes to shared memory
    /// (x86_64 5.19).
    bool can_hold_writes() const noexcept;

    /// From now on every access to the range waits. After an error the range is as it was.
    Result<void> hold_all(std::span<std::byte> range, const FileRange& file);
    /// From now on reading goes on, and every write waits. Errors: unsupported (no dma-buf can do this).
    Result<void> hold_writes(std::span<std::byte> range, const FileRange& file);
    /// Ends either. After an error the range is held as before.
    Result<void> let_go(std::span<std::byte> range, const FileRange& file);

    /// Lets whoever waits there try again; those that may not go on come back and are told of again.
    void wake(std::span<std::byte> range) noexcept;

    /// In a forked child: closes what it inherited, by system calls only. The object is of no use afterwards
    /// and must not be destroyed: its thread is the parent's.
    void forget_in_child() noexcept;

private:
    struct State;
    explicit Userfault(std::unique_ptr<State> state) noexcept;
    Result<void> move_over(std::span<std::byte> range, void* from, const FileRange& file);
    std::unique_ptr<State> state_;
};

struct Allowed {
    bool reading = false, writing = false;
};
/// mprotect(2): what is not allowed ends in SIGSEGV.
Result<void> protect(std::span<std::byte> range, Allowed allowed);
/// Makes every access to the range end in SIGSEGV. Async-signal-safe. False with errno.
bool forbid(std::span<std::byte> range) noexcept;

} // namespace share::os
