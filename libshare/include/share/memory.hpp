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

enum class CachePolicy : std::uint8_t { unknown, cached, write_combined };
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

struct Traits {
    MemoryKind kind = MemoryKind::memfd;
    Tristate contiguous = Tristate::unknown; ///< physically
    CachePolicy cache = CachePolicy::unknown;
    std::size_t page_size = 4096;
    bool swappable = false;
    bool mappable = true;
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
    Memory(std::uint64_t size, std::string heap, std::string name, const Traits& traits);
    /// Makes the mapping (read_write where traits().writable, read otherwise); called once, under the lock.
    /// The destructor gives it to munmap, which detaches SysV segments too.
    virtual Result<std::span<std::byte>> do_map(Access access) = 0;

    std::uint64_t size_;
    std::string heap_;
    std::string name_;
    Traits traits_;

private:
    std::mutex view_lock_;
    std::span<std::byte> view_;
};

} // namespace share
