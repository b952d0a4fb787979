// SPDX-License-Identifier: MIT
// LockFile: this process's one lock description of a file, and the counts above it.
//
// The kernel sees one owner per description: two readers of one process are one lock, and two writers would
// not exclude each other. So this object knows every hold of the process by its byte range, decides between
// them itself, and gives the kernel back only those bytes that nobody here holds any more.
//
// Fairness between processes: who has waited for `patience` locks the "gate", a range of its own far beyond
// the bytes, until it is served. Others look at the gate at most every `gate_look` (so that a free lock costs
// one system call) and do not pass while it is another's, for `courtesy` at most, as in core/ownership.hpp. A
// dead waiter's gate is opened by the kernel.
//
// A child of fork() closes the description and opens one of its own, without holds. Thread: any.
// Owner: whoever arbitrates a buffer in that file, by shared_ptr; the process's table only looks on.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <share/buffer.hpp>
#include <share/deadline.hpp>
#include <share/memory.hpp>

#include "os/record_lock.hpp"

namespace share::sync {

class LockFile;

/// A lock file that travels beside a memory.
struct Beside {
    std::shared_ptr<LockFile> file;
    std::uint64_t base = 0; ///< where the memory's first byte is in it
};

class LockFile {
public:
    static constexpr std::chrono::milliseconds patience{50}, courtesy{500}, gate_look{10}, longest_nap{4};
    /// Ranges end below this; the gate of a byte lies as much above it.
    static constexpr std::uint64_t gate = std::uint64_t{1} << 62U;

    /// The process's one for the file of `fd`, which is reopened and stays the caller's; made when there is
    /// none. Errors: unsupported (not a memfd or file of tmpfs or hugetlbfs), unavailable, denied.
    static Result<std::shared_ptr<LockFile>> of(int fd);
    /// For memory whose own file cannot be locked: the lock file that is known for it in this process.
    /// Without one: a new one for memory of our own; for foreign memory it is unsupported.
    static Result<Beside> beside(Memory& memory);
    /// Remembers for as long as the memory lives where its lock file is; the first word stands.
    static void remember_beside(Memory& memory, const Beside& beside);
    ~LockFile() = default;
    LockFile(const LockFile&) = delete;
    LockFile& operator=(const LockFile&) = delete;

    /// Errors: busy (the detail names who is in the way), denied (write on a file that is only readable).
    Result<void> acquire(const ByteRange& range, Access access, Deadline deadline);
    Result<void> downgrade(const ByteRange& range);
    void release(const ByteRange& range, Access access) noexcept;

    /// Whether another process holds bytes of the range, for reading or writing.
    Result<bool> held_elsewhere(const ByteRange& range);
    std::optional<os::LockHolder> holder(const ByteRange& range, Access access, int budget_ms);
    /// Another open description of the file, to be sent away.
    Result<UniqueFd> fd_to_send();
    const Inode& inode() const noexcept { return inode_; }

private:
    friend struct Table;
    class Gate;
    struct Hold {
        ByteRange range;
        Access access;
    };
    LockFile(UniqueFd fd, const Inode& inode) : fd_(std::move(fd)), inode_(inode) {}
    enum class Tried : std::uint8_t { taken, held_here, held_elsewhere, gated };
    Result<Tried> try_take(const ByteRange& range, Access access, bool pass_gate);
    Result<void> wait(std::unique_lock<std::mutex>& guard, const ByteRange& range, Access access,
                      Deadline deadline);
    Error busy(std::unique_lock<std::mutex>& guard, Tried why, const ByteRange& range, Access access,
               bool waited);
    Result<void> unlock_unheld(std::uint64_t begin, std::uint64_t end);
    Result<void> unlock_left_over();
    bool gate_closed(const ByteRange& range);
    void forget_after_fork() noexcept;

    std::mutex lock_;
    std::condition_variable changed_;
    UniqueFd fd_;
    Inode inode_;
    std::vector<Hold> holds_;
    bool left_over_ = false; ///< bytes that nobody holds are still locked
    std::chrono::steady_clock::time_point looked_{};
    bool saw_closed_ = false; ///< any byte's gate
    std::optional<os::LockHolder> last_holder_;
    std::chrono::steady_clock::time_point searched_{};
};

} // namespace share::sync
