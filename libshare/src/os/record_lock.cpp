// SPDX-License-Identifier: MIT
#include "os/record_lock.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <share/deadline.hpp>

namespace share::os {
namespace {

short type_of(LockMode mode) noexcept {
    if (mode == LockMode::none) return F_UNLCK;
    return mode == LockMode::read ? F_RDLCK : F_WRLCK;
}

struct flock record(LockMode mode, std::uint64_t offset, std::uint64_t length) noexcept {
    struct flock lock{};
    lock.l_type = type_of(mode);
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(offset);
    lock.l_len = static_cast<off_t>(length);
    return lock; // l_pid must be 0
}

Error refused(int fd, const char* command) {
    const char* advice = errno == EBADF    ? "the file may only be read here; take a read hold"
                         : errno == ENOLCK ? "the kernel's limit of locks or of memory was reached"
                                           : command;
    const int number = errno;
    auto error = error_from_errno(number, fmt::format("locking a range of fd {}", fd), advice);
    if (number == EBADF) error.code = Code::denied;
    if (number == ENOLCK) error.code = Code::limit;
    return error;
}

/// Whole text of a small file of /proc; empty where it cannot be read.
std::string read_small(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    char piece[1024];
    while (file && text.size() < 65536) {
        const ssize_t got = ::read(file.get(), piece, sizeof piece);
        if (got <= 0) break;
        text.append(piece, static_cast<std::size_t>(got));
    }
    return text;
}

/// A line such as "lock:\t1: OFDLCK  ADVISORY  WRITE -1 00:01:2058 0 EOF" that is in the way.
bool in_the_way(const std::string& line, const Inode& file, LockMode mode, std::uint64_t begin,
                std::uint64_t end, bool& writes) {
    char kind[16]{}, access[16]{}, last[32]{};
    unsigned major_number = 0, minor_number = 0;
    unsigned long long inode = 0, first = 0;
    if (std::sscanf(line.c_str(), "lock: %*d: %15s %*15s %15s %*d %x:%x:%llu %llu %31s", kind, access,
                    &major_number, &minor_number, &inode, &first, last) != 7)
        return false;
    if (std::string_view(kind) != "OFDLCK" || inode != file.number ||
        makedev(major_number, minor_number) != file.device)
        return false;
    writes = std::string_view(access) == "WRITE";
    if (mode == LockMode::read && !writes) return false;
    std::uint64_t to = UINT64_MAX;
    const std::string_view text(last);
    if (text != "EOF") std::from_chars(text.data(), text.data() + text.size(), to);
    return first < end && to >= begin;
}

bool fdinfo_has(const std::string& path, const Inode& file, LockMode mode, std::uint64_t begin,
                std::uint64_t end, bool& writes) {
    const std::string text = read_small(path);
    for (std::size_t at = text.find("lock:"); at != std::string::npos; at = text.find("lock:", at + 5))
        if (in_the_way(text.substr(at, text.find('\n', at) - at), file, mode, begin, end, writes))
            return true;
    return false;
}

std::string program_name(pid_t pid) {
    std::string name = read_small(fmt::format("/proc/{}/comm", pid));
    if (!name.empty() && name.back() == '\n') name.pop_back();
    for (char& c : name) // a process names itself: nothing of it may reach a terminal raw
        if (c < ' ' || c > '~') c = '?';
    return name;
}

struct CloseDir {
    void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};
/// Calls see(number) for each entry that is a number, until it says false.
template<class F>
void each_number(const std::string& folder, F see) {
    const std::unique_ptr<DIR, CloseDir> dir(::opendir(folder.c_str()));
    if (!dir) return;
    while (const auto* entry = ::readdir(dir.get())) {
        const std::string_view name(entry->d_name);
        int number = 0;
        const auto end = std::from_chars(name.data(), name.data() + name.size(), number).ptr;
        if (end == name.data() + name.size() && !see(number)) return;
    }
}

} // namespace

UniqueFd reopen_in_child(int fd) noexcept {
    char path[32];
    *fmt::format_to_n(path, sizeof path - 1, "/proc/self/fd/{}", fd).out = '\0';
    UniqueFd own(::open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!own && (errno == EACCES || errno == EPERM || errno == EROFS))
        own.reset(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    return own;
}

Result<UniqueFd> reopen(int fd) {
    UniqueFd own = reopen_in_child(fd);
    if (own) return own;
    const bool no_proc = errno == ENOENT;
    auto error = error_from_errno(errno, fmt::format("opening fd {} once more, to lock it", fd),
                                  no_proc ? "mount /proc" : "this kind of file cannot be opened again");
    if (error.os_errno == ENXIO || no_proc) error.code = Code::unavailable;
    return error;
}

Result<bool> try_lock(int fd, LockMode mode, std::uint64_t offset, std::uint64_t length) {
    auto lock = record(mode, offset, length);
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
    if (errno == EAGAIN || errno == EACCES) return false;
    return refused(fd, "fcntl(F_OFD_SETLK)");
}

Result<bool> others_lock(int fd, LockMode mode, std::uint64_t offset, std::uint64_t length) {
    auto lock = record(mode, offset, length);
    if (::fcntl(fd, F_OFD_GETLK, &lock) < 0) return refused(fd, "fcntl(F_OFD_GETLK)");
    return lock.l_type != F_UNLCK;
}

bool holds_lock(LockHolder& holder, const Inode& file, LockMode mode, std::uint64_t offset,
                std::uint64_t length) {
    return fdinfo_has(fmt::format("/proc/{}/fdinfo/{}", holder.pid, holder.fd), file, mode, offset,
                      offset + length, holder.writes);
}

std::optional<LockHolder> find_lock_holder(const Inode& file, LockMode mode, std::uint64_t offset,
                                           std::uint64_t length, int budget_ms) {
    const auto until = Deadline::in(std::chrono::milliseconds(budget_ms));
    std::vector<pid_t> processes;
    each_number("/proc", [&](int pid) {
        processes.push_back(pid);
        return true;
    });
    std::sort(processes.rbegin(),
              processes.rend()); // peers are rather among the young than among the daemons
    std::optional<LockHolder> found;
    for (const pid_t pid : processes) {
        if (found || until.passed()) break;
        if (pid == ::getpid()) continue;
        const std::string folder = fmt::format("/proc/{}/fdinfo", pid);
        each_number(folder, [&](int fd) {
            bool writes = false;
            if (fdinfo_has(fmt::format("{}/{}", folder, fd), file, mode, offset, offset + length, writes))
                found = LockHolder{pid, fd, program_name(pid), writes};
            return !found && !until.passed();
        });
    }
    return found;
}

} // namespace share::os
