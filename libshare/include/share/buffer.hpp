// SPDX-License-Identifier: MIT
// Buffer: a Layout over a range of Memory; Mapping: a bracketed CPU view; Attachment: a consumer's hold.
//
// The law of exclusive buffers: one producer writes inside a write Mapping; consumers hold Attachments; while
// one of them can read, a write Mapping waits until its deadline or fails with `busy`; destroying the
// Attachment is the release. Somebody who has waited for 50 ms is not overtaken by who comes later (but by a
// reader that has waited for 500 ms itself, and joins others): overlapping readers that let go before they
// ask again do not starve a writer, nor writers a reader. Consistent buffers are held by anybody at any time;
// then no mapping is synced and no fence waited for: all parties must be coherent. share/ownership.hpp lets
// processes take turns by the same calls.
//
// Buffers are shared (shared_ptr): a wl_buffer, a surface and a pool each hold their share. Units: bytes.
// Thread: every function may be called from any thread; after fork() the child owns none of the holds that it
// inherited, and must not use them. Source: dma-buf.rst (DMA_BUF_IOCTL_SYNC).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/fence.hpp>
#include <share/handle.hpp>
#include <share/layout.hpp>
#include <share/memory.hpp>
#include <share/sharing.hpp>

namespace share {

class Attachment;
class Buffer;
namespace detail {
class Ownership;
struct BufferAccess; ///< for src/sync: core/buffer_access.hpp
class PinSlot;
/// A dma-buf that was told of a CPU access, and what keeps it open.
struct Synced {
    int fd = -1;
    std::shared_ptr<const void> keep;
};
} // namespace detail

/// Bytes of a Buffer, counted from its own first byte.
struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// The CPU's view of a Buffer between begin and end of access. Movable; ends when destroyed.
class SHARE_API [[nodiscard]] Mapping {
public:
    Mapping(Mapping&&) noexcept;
    Mapping& operator=(Mapping&&) noexcept;
    ~Mapping();

    Access access() const noexcept { return access_; }
    const Layout& layout() const noexcept;
    /// From the plane's first row to the end of its last row. Rows lie layout().plane(i).stride apart.
    /// Of a mapping of a range: what of it lies inside the range.
    std::span<std::byte> plane(std::size_t i) const noexcept;
    /// One row of pixels, without padding. Asserts that i and row are inside, the range too.
    std::span<std::byte> row(std::size_t i, std::uint32_t row) const noexcept;
    /// What was asked for; the whole buffer by default.
    const ByteRange& range() const noexcept { return range_; }

    /// Ends the access now and says how it went (the kernel may refuse a sync). Idempotent.
    Result<void> end() noexcept;
    /// Ends a write access and goes on as a reader, without a moment in which another writer could come: the
    /// producer keeps the result until the consumer has an Attachment of its own. `who` as in
    /// Buffer::attach(). Errors: as end(), and of the lock between processes; then the access has ended.
    Result<Attachment> hand_over(std::string who);

private:
    friend class Buffer;
    Mapping(std::shared_ptr<Buffer> buffer, Access access, const ByteRange& range) noexcept;
    Result<void> end_bracket() noexcept;
    std::shared_ptr<Buffer> buffer_;
    Access access_ = Access::read;
    ByteRange range_;
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
    Access access() const noexcept { return access_; }
    /// What the device reads or writes: of attachments made by attach_device(), null otherwise.
    const DmabufHandle* dmabuf() const noexcept { return dmabuf_ ? &*dmabuf_ : nullptr; }
    void release() noexcept;
    /// The device has written; goes on as a reader named `who`, without a moment in which another writer
    /// could come. Nothing to do for a reader. Errors: of the lock between processes; it then still writes.
    Result<void> hand_over(std::string who);

private:
    friend class Buffer;
    friend class Mapping;
    std::shared_ptr<Buffer> buffer_;
    Access access_ = Access::read;
    std::string who_;
    std::optional<DmabufHandle> dmabuf_;
};

class SHARE_API Buffer : public std::enable_shared_from_this<Buffer> {
public:
    /// All planes in one Memory, layout offsets counted from `offset`.
    /// Errors: invalid_argument when the layout does not fit into the memory.
    static Result<std::shared_ptr<Buffer>> create(std::shared_ptr<Memory> memory, std::uint64_t offset,
                                                  const Layout& layout, BufferOptions options = {});
    /// Each plane in the Memory of the same index; its offset counts from that memory's start.
    static Result<std::shared_ptr<Buffer>> create(std::span<const std::shared_ptr<Memory>> memories,
                                                  const Layout& layout, BufferOptions options = {});
    ~Buffer();

    const Layout& layout() const noexcept { return layout_; }
    const std::shared_ptr<Memory>& memory(std::size_t plane = 0) const noexcept;
    /// Of the buffer's range in its Memory; 0 when planes have memories of their own.
    std::uint64_t offset() const noexcept { return offset_; }
    bool planes_share_memory() const noexcept { return memory_count_ == 1; }
    Sharing sharing() const noexcept { return options_.sharing; }
    /// Who wanted it shared so: a party's name, or "the default".
    const std::string& decided_by() const noexcept { return options_.decided_by; }

    /// Begins CPU access. Waits until the deadline for attachments and for fences of a dma-buf, then fails
    /// with `busy` (an attachment, another mapping) or `timed_out` (a fence that did not signal). Holds too
    /// when somebody who has the dma-buf adds a fence at the wrong moment: its bracket is begun by a helper
    /// thread, which is granted 50 ms even when the deadline has passed.
    Result<Mapping> map(Access access, Deadline deadline);
    /// The same for a part. The hold and the sync are of the whole buffer all the same (the kernel knows no
    /// ranges), but only the range counts as written. Errors: also invalid_argument (outside of the buffer),
    /// unsupported (its planes lie in several memories).
    Result<Mapping> map(Access access, Deadline deadline, const ByteRange& range);
    /// The smallest range around all that was written since the last call, by mappings that ended and by
    /// writing attachments that were released; nothing when there was none. For who keeps a copy.
    std::optional<ByteRange> take_written();
    /// A consumer's hold. `who` is for errors and share-info: "wl_surface 12". A write Mapping in progress
    /// makes it fail with `busy` after the deadline; writers exclude everybody, readers overlap.
    Result<Attachment> attach(Access access, std::string who, Deadline deadline);
    /// A device's hold, with the dma-buf that it needs: the memory is pinned from the first such attachment
    /// to the release of the last. Errors: also those of export_dmabuf().
    Result<Attachment> attach_device(Access access, std::string who, Deadline deadline);

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
    /// handle is gone and the grace time over (share/accounting.hpp): that unpins. Errors: as
    /// Memory::export_dmabuf, limit (of pinned bytes).
    Result<DmabufHandle> export_dmabuf();
    /// The memory's file itself, for wl_shm, MIT-SHM fd attach and our own importers.
    /// Errors: unsupported (not a file of the page cache).
    Result<MemfdHandle> export_memfd() const;
    /// Errors: unsupported (memory is not SysV).
    Result<SysvHandle> export_sysv() const;
    /// True while a dma-buf made of this buffer is alive in this process, grace time included.
    bool pinned() const noexcept;

private:
    friend class Mapping;
    friend class Attachment;
    friend class Pool;
    friend struct detail::BufferAccess;
    Buffer(const Layout& layout, BufferOptions options);
    Result<Mapping> map_range(Access access, Deadline deadline, const ByteRange& range);
    Result<void> bracket(Mapping& mapping, Deadline deadline);
    void note_written(const ByteRange& range) noexcept;
    detail::Synced dmabuf_to_sync(std::size_t memory_index) const;
    Result<std::shared_ptr<const UniqueFd>> pin(std::size_t memory_index, std::uint64_t begin,
                                                std::uint64_t length);
    Layout layout_;
    BufferOptions options_;
    std::uint64_t offset_ = 0;
    std::size_t memory_count_ = 0;
    std::array<std::shared_ptr<Memory>, max_planes> memories_;
    std::unique_ptr<detail::Ownership> ownership_;
    std::mutex written_lock_;
    std::optional<ByteRange> written_;
    mutable std::mutex export_lock_;
    std::array<std::shared_ptr<detail::PinSlot>, max_planes> pins_; ///< by memory; null until exported
};

} // namespace share
