// SPDX-License-Identifier: MIT
// Memory: counted bytes from one heap. Knows nothing of pixels.
//
// Owned by shared_ptr; the bytes go back when the last share goes (get/put of PMM). The CPU mapping of a
// Memory is made once, on first use, and lives as long as the Memory: a recycled frame faults no page.
// Thread: all const functions may be called from any thread; view() is internally locked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <share/accounting.hpp>
#include <share/api.hpp>
#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace share {

enum class Access : std::uint8_t { read = 1, write = 2, read_write = 3 };
constexpr bool reads(Access a) noexcept {
    return (static_cast<unsigned>(a) & 1U) != 0;
}
constexpr bool writes(Access a) noexcept {
    return (static_cast<unsigned>(a) & 2U) != 0;
}

/// How a CPU mapping is cached. No kernel interface asks for it or reports it: it is declared by a table of
/// what is known (a driver's source), or measured by reading and writing (cache_probe.hpp).
enum class CachePolicy : std::uint8_t { unknown, cached, write_combined };
enum class CacheSource : std::uint8_t { declared, measured };
enum class Tristate : std::uint8_t { unknown, no, yes };

/// What kind of kernel object the bytes are.
enum class MemoryKind : std::uint8_t {
    memfd,     ///< memfd or other shmem file that cannot shrink
    tmpfs,     ///< shmem file that may shrink: read it guarded only
    hugetlbfs, ///< hugetlb file or memfd
    dmabuf,    ///< a real dma-buf (fstatfs says DMA_BUF_MAGIC)
    sysv,      ///< System V segment
    foreign,   ///< anything else that a server had to accept (wl_shm): read it guarded only
};
SHARE_API std::string_view to_string(MemoryKind kind) noexcept;
SHARE_API std::string_view to_string(CachePolicy policy) noexcept; ///< "cached", "write-combined", "unknown"
SHARE_API std::string_view to_string(CacheSource source) noexcept; ///< "declared", "measured"
SHARE_API std::string_view to_string(Tristate state) noexcept;     ///< "yes", "no", "unknown"

/// As what memory can be given to others; a set of bits.
enum class Exports : std::uint8_t { none = 0, dmabuf = 1, memfd = 2, sysv = 4 };
constexpr Exports operator|(Exports a, Exports b) noexcept {
    return static_cast<Exports>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
/// True when all of `wanted` is in `set`.
constexpr bool contains(Exports set, Exports wanted) noexcept {
    return (static_cast<unsigned>(set) & static_cast<unsigned>(wanted)) == static_cast<unsigned>(wanted);
}
/// "dma-buf, memfd", "none".
SHARE_API std::string to_string(Exports set);

struct Traits {
    MemoryKind kind = MemoryKind::memfd;
    Tristate contiguous = Tristate::unknown; ///< physically
    CachePolicy cache = CachePolicy::unknown;
    CacheSource cache_source = CacheSource::declared; ///< where `cache` comes from
    std::size_t page_size = 4096; ///< no smaller page backs the memory; ranges are aligned to it
    /// Pages up to this size are asked for and often had, without a promise (transparent huge pages); what
    /// one got is told by page_report() (pages.hpp). 0: page_size is all there is.
    std::size_t largest_page = 0;
    Exports exports = Exports::none;
    bool swappable = false;
    bool mappable = true; ///< by a CPU
    /// The kernel keeps the bytes only while they are mapped (SysV): never to be had without CPU mapping.
    bool needs_mapping = false;
    bool can_shrink = false; ///< a peer may take pages out of it: every read must be guarded
    bool writable = true;    ///< false: only read mappings can be made
    bool foreign = false;    ///< imported: another process made it and may go on using it
};

/// Which file a piece of memory is: equal in all processes that share it.
struct Inode {
    std::uint64_t device = 0;
    std::uint64_t number = 0;
    friend bool operator==(const Inode&, const Inode&) = default;
};
SHARE_API Result<Inode> inode_of(int fd);

namespace detail {
struct MemoryAccess; ///< for src/sync: sync/lock_file.hpp
}

class SHARE_API Memory {
public:
    virtual ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    std::uint64_t size() const noexcept { return size_; }
    /// The heap's name ("memfd", "udmabuf", "sysv"), "imported" for foreign memory.
    std::string_view heap() const noexcept { return heap_; }
    const Traits& traits() const noexcept { return traits_; }
    /// For a person and for /proc: "libshare frames".
    std::string_view name() const noexcept { return name_; }

    /// Borrowed: the file behind the bytes; -1 where there is none (SysV).
    virtual int fd() const noexcept { return -1; }
    /// The segment's id for SysV memory.
    virtual std::optional<int> sysv_id() const noexcept { return std::nullopt; }

    /// The whole memory as this process sees it; unbracketed, so for Buffer and for servers that know what
    /// they do: others use Buffer::map(). Made once; asking for write on memory that is only readable fails
    /// with `denied`. Errors: out_of_memory, denied, unsupported (device-only).
    Result<std::span<std::byte>> view(Access access);

    /// A dma-buf over [offset, offset + length), page-aligned. Pins these pages for as long as the
    /// dma-buf lives anywhere. A Memory that is a dma-buf gives a duplicate of itself for any range.
    /// Errors: unsupported with the reason (this heap makes none, no /dev/udmabuf), limit, invalid_argument.
    virtual Result<UniqueFd> export_dmabuf(std::uint64_t offset, std::uint64_t length);

protected:
    friend class Heap; // charges it, and takes the CPU mapping away from what was asked for as device-only
    Memory(std::uint64_t size, std::string heap, std::string name, const Traits& traits);
    /// Makes the mapping (read_write where traits().writable, read otherwise); called once, under the lock.
    /// The destructor gives it to munmap, which detaches SysV segments too.
    virtual Result<std::span<std::byte>> do_map(Access access) = 0;

    std::uint64_t size_;
    std::string heap_;
    std::string name_;
    Traits traits_;

private:
    friend struct detail::MemoryAccess;
    std::shared_ptr<const void> lock_file_; ///< what travels beside it (share/ownership.hpp); src/sync's
    std::mutex view_lock_;
    std::span<std::byte> view_;
    detail::Charge charge_; ///< nothing for imported memory
};

} // namespace share
