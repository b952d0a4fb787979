// SPDX-License-Identifier: MIT
// The process's table of lock files: one description per file, and what becomes of them in a forked child.
#include <fcntl.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <share/import.hpp>

#include "os/file.hpp"
#include "sync/lock_file.hpp"

namespace share::detail {

struct MemoryAccess {
    static std::shared_ptr<const void>& lock_file(Memory& memory) noexcept { return memory.lock_file_; }
};

} // namespace share::detail

namespace share::sync {
namespace {

/// What identifies memory that has no lockable file, in this process.
Result<Inode> identity(const Memory& memory) {
    if (const auto id = memory.sysv_id()) // no file system has this device number
        return Inode{~std::uint64_t{0}, static_cast<std::uint64_t>(*id)};
    return inode_of(memory.fd());
}

} // namespace

struct Table {
    struct Entry {
        Inode key;
        std::weak_ptr<LockFile> file;
        std::uint64_t base = 0;
    };
    std::mutex lock;                                ///< before any LockFile's
    std::vector<Entry> own;                         ///< by the locked file's inode
    std::vector<Entry> beside;                      ///< by the memory's
    std::vector<std::shared_ptr<LockFile>> forking; ///< between prepare and parent or child

    static Beside find(std::vector<Entry>& entries, const Inode& key) {
        std::erase_if(entries, [](const Entry& entry) { return entry.file.expired(); });
        const auto at = std::find_if(entries.begin(), entries.end(),
                                     [&](const Entry& entry) { return entry.key == key; });
        return at == entries.end() ? Beside{} : Beside{at->file.lock(), at->base};
    }
    /// With the lock held.
    Result<std::shared_ptr<LockFile>> file_of(int fd) {
        auto inode = inode_of(fd);
        if (!inode) return std::move(inode).error();
        if (auto known = find(own, *inode); known.file) return known.file;
        auto description = os::reopen(fd);
        if (!description) return std::move(description).error();
        std::shared_ptr<LockFile> made(new LockFile(std::move(*description), *inode));
        own.push_back({*inode, made});
        return made;
    }

    void before_fork() {
        lock.lock();
        for (const Entry& entry : own)
            if (auto file = entry.file.lock()) forking.push_back(std::move(file));
        for (const auto& file : forking)
            file->lock_.lock();
    }
    void after_fork(bool child) noexcept {
        for (const auto& file : forking) {
            if (child) file->forget_after_fork();
            file->lock_.unlock();
        }
        const auto done = std::exchange(forking, {});
        lock.unlock();
    }
    static Table& instance();
};

/// Never destroyed: a fork() may come after the destructors of static objects have run.
Table& Table::instance() {
    static Table* const table = [] {
        auto made = std::make_unique<Table>();
        ::pthread_atfork([] { instance().before_fork(); }, [] { instance().after_fork(false); },
                         [] { instance().after_fork(true); });
        return made.release();
    }();
    return *table;
}

Result<std::shared_ptr<LockFile>> LockFile::of(int fd) {
    auto facts = inspect_fd(fd); // opening what is not a regular file again may wait, or do things
    if (!facts) return std::move(facts).error();
    if (facts->kind == MemoryKind::dmabuf)
        return make_error(Code::unsupported, fmt::format("locking the file of fd {}", fd),
                          "a dma-buf cannot be opened again: a lock file has to travel with it");
    Table& table = Table::instance();
    const std::lock_guard guard(table.lock);
    return table.file_of(fd);
}

Result<Beside> LockFile::beside(Memory& memory) {
    auto key = identity(memory);
    if (!key) return std::move(key).error();
    Table& table = Table::instance();
    const std::lock_guard guard(table.lock);
    if (auto known = Table::find(table.beside, *key); known.file) return known;
    if (memory.traits().foreign || memory.heap() == "imported")
        return make_error(Code::unsupported,
                          fmt::format("locking imported {} memory", to_string(memory.traits().kind)),
                          "its own file cannot be locked: its owner has to send an OwnershipHandle, for "
                          "join_ownership()");
    // Locks may lie beyond the end of a file, so one page stands for memory of any size.
    constexpr unsigned all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    auto file = os::create_memfd("libshare lock", os::page_size(), all_seals);
    if (!file) return std::move(file).error();
    auto made = table.file_of(file->get());
    if (!made) return std::move(made).error();
    table.beside.push_back({*key, *made, 0});
    detail::MemoryAccess::lock_file(memory) = *made; // peers know this one: it must not change
    return Beside{*made, 0};
}

void LockFile::remember_beside(Memory& memory, const Beside& beside) {
    const auto key = identity(memory);
    if (!key) return;
    Table& table = Table::instance();
    const std::lock_guard guard(table.lock);
    if (Table::find(table.beside, *key).file) return;
    table.beside.push_back({*key, beside.file, beside.base});
    detail::MemoryAccess::lock_file(memory) = beside.file;
}

} // namespace share::sync
