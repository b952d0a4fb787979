// SPDX-License-Identifier: MIT
// Record locks of open file descriptions (OFD), by byte range, and who holds them. Thin; no policy.
//
// The lock belongs to the open file description, not to the process: every duplicate, inherited or sent fd
// and every mapping made from it shares and keeps it. So reopen() first, and never map, duplicate or send
// what it gives. Thread: any. Units: bytes. Source: fcntl(2), proc(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include <share/memory.hpp>
#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace share::os {

/// The same file as an open file description of its own; for reading only where writing is not allowed. Of
/// regular files only, which the caller has checked: opening others may wait or do things.
/// Errors: unavailable (dma-bufs cannot be reopened; no /proc), denied.
Result<UniqueFd> reopen(int fd);
/// The same in a child that fork() has just made: asks for no memory. Empty where that fails.
UniqueFd reopen_in_child(int fd) noexcept;

enum class LockMode : std::uint8_t { none, read, write };
/// Sets the range to `mode`, whatever this description had there; never waits. False when another
/// description is in the way: then nothing has changed. Errors: denied (write, opened for reading only),
/// limit.
Result<bool> try_lock(int fd, LockMode mode, std::uint64_t offset, std::uint64_t length);
/// Whether another description has a lock that is in the way of `mode`.
Result<bool> others_lock(int fd, LockMode mode, std::uint64_t offset, std::uint64_t length);

struct LockHolder {
    pid_t pid = 0;
    int fd = -1;      ///< its number in that process
    std::string name; ///< of the program, as /proc/PID/comm has it, printable
    bool writes = false;
};
/// A process other than this one with a lock in the way of `mode`: from the fdinfo files that we may read,
/// for as long as `budget_ms` allows. Nothing when none is found; that does not mean that there is none.
std::optional<LockHolder> find_lock_holder(const Inode& file, LockMode mode, std::uint64_t offset,
                                           std::uint64_t length, int budget_ms);
/// Whether that fd of that process (still) has such a lock; corrects `writes`.
bool holds_lock(LockHolder& holder, const Inode& file, LockMode mode, std::uint64_t offset,
                std::uint64_t length);

} // namespace share::os
