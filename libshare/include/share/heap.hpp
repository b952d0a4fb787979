// SPDX-License-Identifier: MIT
// Heap: a kind of memory and its allocator; HeapTable: all heaps that this process can have, best first.
//
// A heap that cannot be opened stays in the table with its reason, so that every choice can be explained.
// What memory of a heap is like is data (Traits, Privilege), which negotiation, share-info and people read.
// Libraries beside libshare (egl, kms) add their heaps by HeapTable::add. Thread: a table is built by one
// thread and may then be read by all; Heap::allocate may be called from any thread. Sizes are in bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/memory.hpp>

namespace share {

/// What a process needs in order to use a heap.
struct Privilege {
    enum class Kind : std::uint8_t {
        none,        ///< any process can
        device_node, ///< may open `path` for reading and writing
        setting,     ///< an administrator has set `path` (a file of /proc or /sys) to allow it
    };
    Kind kind = Kind::none;
    std::string path;
};
SHARE_API std::string_view to_string(Privilege::Kind kind) noexcept; ///< "none", "device node", "setting"

/// How the CPU is to see memory.
enum class CacheChoice : std::uint8_t { any, cached, write_combined };

/// What the user wants of memory beyond its size. A heap that cannot give it refuses.
struct AllocateOptions {
    CacheChoice cache = CacheChoice::any;
    /// No CPU mapping, ever: Memory::view() and so Buffer::map() fail with `unsupported`. A promise of this
    /// process about itself: whoever is given the fd can still map it, where its kind can be mapped.
    bool device_only = false;
};

class SHARE_API Heap {
public:
    Heap() = default;
    Heap(const Heap&) = delete;
    Heap& operator=(const Heap&) = delete;
    virtual ~Heap() = default;
    virtual std::string_view name() const noexcept = 0;
    /// What memory of this heap is like.
    virtual Traits traits() const noexcept = 0;
    /// What a process needs to use it.
    virtual Privilege privilege() const { return {}; }

    /// `size` is rounded up to pages. `name` shows in /proc/PID/maps. The pages are not touched.
    /// Errors: unsupported (the options ask for what this heap cannot give; the text names what it can),
    /// out_of_memory, limit (of the system or of accounting.hpp, naming it and where to raise it),
    /// unavailable.
    Result<std::shared_ptr<Memory>> allocate(std::uint64_t size, std::string_view name,
                                             const AllocateOptions& options = {});

protected:
    /// The options were checked against traits(); the caller takes the mapping away where they ask for that.
    virtual Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                        const AllocateOptions& options) = 0;
};

/// Proves that the dma-buf shows bytes [offset, offset + length) of the memfd: writes a marker into every
/// page through each of the two and reads it through the other, then puts the old bytes back. Nobody else may
/// use the memory meanwhile. They differ when a hole was punched into the memfd afterwards, or by a kernel
/// bug; a dma-buf that differs must not be used. Errors: corrupt (naming the first page
/// that differs), timed_out (a device works on it), io.
SHARE_API Result<void> verify_same_pages(int memfd, std::uint64_t offset, int dmabuf, std::uint64_t length);

class SHARE_API HeapTable {
public:
    struct Entry {
        std::string name;
        std::unique_ptr<Heap> heap; ///< null when unavailable
        Error reason;               ///< why, when unavailable
    };

    HeapTable();
    HeapTable(HeapTable&&) noexcept;
    HeapTable& operator=(HeapTable&&) noexcept;
    ~HeapTable();
    /// Opens what this machine offers: udmabuf, memfd, sysv, then memfd-huge (the best kind of huge pages)
    /// with memfd-huge:2M, :1G, :thp for each kind, then a dma-heap:NAME for each of the kernel's.
    static HeapTable probe();

    void add(Entry entry) { entries_.push_back(std::move(entry)); }
    const std::vector<Entry>& entries() const noexcept { return entries_; }
    /// The heap, or why there is none of that name.
    Result<Heap*> find(std::string_view name) const;
    /// The first available heap of `names`; the Error lists every reason.
    Result<Heap*> first_of(std::initializer_list<std::string_view> names) const;

private:
    std::vector<Entry> entries_;
};

} // namespace share
