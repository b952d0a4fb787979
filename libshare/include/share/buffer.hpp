// SPDX-License-Identifier: MIT
// Buffer: a Layout over a range of Memory; Mapping: a bracketed CPU view; Attachment: a consumer's hold.
//
// The law: one producer writes inside a write Mapping; consumers hold Attachments; while one of them can
// read, a write Mapping waits until its deadline or fails with `busy`; destroying the Attachment is the
// release. Buffers are shared (shared_ptr): a wl_buffer, a surface and a pool each hold their share.
// Thread: every function may be called from any thread. Source: dma-buf.rst (DMA_BUF_IOCTL_SYNC).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/fence.hpp>
#include <share/handle.hpp>
#include <share/layout.hpp>
#include <share/memory.hpp>

namespace share {

class Buffer;
namespace detail {
class Ownership;
/// A dma-buf that was told of a CPU access, and what keeps it open.
struct Synced {
    int fd = -1;
    std::shared_ptr<const void> keep;
};
} // namespace detail

/// The CPU's view of a Buffer between begin and end of access. Movable; ends when destroyed.
class SHARE_API [[nodiscard]] Mapping {
public:
    Mapping(Mapping&&) noexcept;
    Mapping& operator=(Mapping&&) noexcept;
    ~Mapping();

    Access access() const noexcept { return access_; }
    const Layout& layout() const noexcept;
    /// From the plane's first row to the end of its last row. Rows lie layout().plane(i).stride apart.
    std::span<std::byte> plane(std::size_t i) const noexcept;
    /// One row of pixels, without padding. Asserts that i and row are inside.
    std::span<std::byte> row(std::size_t i, std::uint32_t row) const noexcept;

    /// Ends the access now and says how it went (the kernel may refuse a sync). Idempotent.
    Result<void> end() noexcept;

private:
    friend class Buffer;
    Mapping(std::shared_ptr<Buffer> buffer, Access access) noexcept;
    std::shared_ptr<Buffer> buffer_;
    Access access_ = Access::read;
    std::array<std::byte*, max_planes> base_{};
    std::array<detail::Synced, max_planes> synced_{};
};

/// A consumer's or device's hold on a Buffer. Destroying it is the release; there is no second way.
class SHARE_API [[nodiscard]] Attachment {
public:
    Attachment() noexcept = default;
    Attachment(Attachment&&) noexcept;
    Attachment& operator=(Attachment&&) noexcept;
    ~Attachment();
    explicit operator bool() const noexcept { return buffer_ != nullptr; }
    void release() noexcept;

private:
    friend class Buffer;
    std::shared_ptr<Buffer> buffer_;
    Access access_ = Access::read;
    std::string who_;
};

class SHARE_API Buffer : public std::enable_shared_from_this<Buffer> {
public:
    /// All planes in one Memory, layout offsets counted from `offset`.
    /// Errors: invalid_argument when the layout does not fit into the memory.
    static Result<std::shared_ptr<Buffer>> create(std::shared_ptr<Memory> memory, std::uint64_t offset,
                                                  const Layout& layout);
    /// Each plane in the Memory of the same index; its offset counts from that memory's start.
    static Result<std::shared_ptr<Buffer>> create(std::span<const std::shared_ptr<Memory>> memories,
                                                  const Layout& layout);
    ~Buffer();

    const Layout& layout() const noexcept { return layout_; }
    const std::shared_ptr<Memory>& memory(std::size_t plane = 0) const noexcept;
    /// Of the buffer's range in its Memory; 0 when planes have memories of their own.
    std::uint64_t offset() const noexcept { return offset_; }
    bool planes_share_memory() const noexcept { return memory_count_ == 1; }

    /// Begins CPU access. Waits until the deadline for attachments and for fences of a dma-buf, then fails
    /// with `busy` (an attachment, another mapping) or `timed_out` (a fence that did not signal). Holds for
    /// foreign memory too, whose owner may add a fence at the wrong moment: its bracket is begun by a helper
    /// thread, which is granted 50 ms even when the deadline has passed.
    Result<Mapping> map(Access access, Deadline deadline);
    /// A consumer's hold. `who` is for errors and share-info: "wl_surface 12". A write Mapping in progress
    /// makes it fail with `busy` after the deadline; writers exclude everybody, readers overlap.
    Result<Attachment> attach(Access access, std::string who, Deadline deadline);

    /// Work of others on this buffer's dma-bufs that must be done before `access`: writers' before reading,
    /// everybody's before writing. A snapshot; done where there is no dma-buf. For who must not wait in
    /// map(): an event loop watches the fence's fd. Errors: unsupported (before Linux 6.0; map() waits
    /// there).
    Result<Fence> fence(Access access) const;
    /// Makes everybody wait for `fence` before touching the dma-bufs; `access` is what its work does. For a
    /// device or renderer without implicit fences of its own. Errors: unsupported (this buffer has no
    /// dma-buf yet: export one first; before Linux 6.0).
    Result<void> add_fence(const Fence& fence, Access access);

    /// The same bytes as a dma-buf. Made on the first call and shared by all later ones until the last
    /// handle is gone: that unpins. Errors: as Memory::export_dmabuf.
    Result<DmabufHandle> export_dmabuf();
    /// The memory's file itself, for wl_shm, MIT-SHM fd attach and our own importers.
    /// Errors: unsupported (not a file of the page cache).
    Result<MemfdHandle> export_memfd() const;
    /// Errors: unsupported (memory is not SysV).
    Result<SysvHandle> export_sysv() const;
    /// True while a dma-buf made of this buffer is alive in this process.
    bool pinned() const noexcept;

private:
    friend class Mapping;
    friend class Attachment;
    friend class Pool;
    explicit Buffer(const Layout& layout);
    Result<void> bracket(Mapping& mapping, Deadline deadline);
    detail::Synced dmabuf_to_sync(std::size_t memory_index) const;
    Layout layout_;
    std::uint64_t offset_ = 0;
    std::size_t memory_count_ = 0;
    std::array<std::shared_ptr<Memory>, max_planes> memories_;
    std::unique_ptr<detail::Ownership> ownership_;
    mutable std::mutex export_lock_;
    std::array<std::weak_ptr<const UniqueFd>, max_planes> exported_; ///< by memory
};

} // namespace share
