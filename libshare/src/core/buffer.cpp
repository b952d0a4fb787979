// SPDX-License-Identifier: MIT
#include <share/buffer.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/ownership.hpp"
#include "core/pins.hpp"
#include "os/dmabuf.hpp"
#include "os/file.hpp"
#include "os/sync_file.hpp"
#include "os/sync_helper.hpp"

namespace share {
namespace {

std::string describe(const Layout& layout) {
    return fmt::format("{}x{} {} buffer", layout.width(), layout.height(), fourcc_text(layout.format()));
}

} // namespace

// Buffer

Buffer::Buffer(const Layout& layout, BufferOptions options)
    : layout_(layout),
      options_(std::move(options)),
      ownership_(std::make_unique<detail::Ownership>(options_.sharing)) {}
Buffer::~Buffer() {
    for (const auto& slot : pins_)
        if (slot) slot->abandon();
}

Result<std::shared_ptr<Buffer>> Buffer::create(std::shared_ptr<Memory> memory, std::uint64_t offset,
                                               const Layout& layout, BufferOptions options) {
    assert(memory);
    // rebased() repeats every check of Layout with the memory's real size, tiled layouts included.
    if (auto whole = layout.rebased(offset, memory->size()); !whole) {
        whole.error().operation = fmt::format("placing a {} at byte {} of {} bytes of {}", describe(layout),
                                              offset, memory->size(), memory->heap());
        return std::move(whole).error();
    }
    std::shared_ptr<Buffer> buffer(new Buffer(layout, std::move(options)));
    buffer->offset_ = offset;
    buffer->memory_count_ = 1;
    buffer->memories_[0] = std::move(memory);
    return buffer;
}

Result<std::shared_ptr<Buffer>> Buffer::create(std::span<const std::shared_ptr<Memory>> memories,
                                               const Layout& layout, BufferOptions options) {
    if (memories.size() != layout.plane_count())
        return make_error(Code::invalid_argument, fmt::format("making a {}", describe(layout)),
                          fmt::format("{} memories for {} planes", memories.size(), layout.plane_count()));
    std::array<std::uint64_t, max_planes> sizes{};
    for (std::size_t i = 0; i < memories.size(); ++i)
        sizes[i] = memories[i]->size();
    auto checked = Layout::describe(layout.width(), layout.height(), layout.format(), layout.modifier(),
                                    layout.planes(), std::span(sizes).first(memories.size()));
    if (!checked) return std::move(checked).error();
    std::shared_ptr<Buffer> buffer(new Buffer(layout, std::move(options)));
    buffer->memory_count_ = memories.size();
    std::copy(memories.begin(), memories.end(), buffer->memories_.begin());
    return buffer;
}

const std::shared_ptr<Memory>& Buffer::memory(std::size_t plane) const noexcept {
    assert(plane < layout_.plane_count());
    return memories_[memory_count_ == 1 ? 0 : plane];
}

detail::Synced Buffer::dmabuf_to_sync(std::size_t index) const {
    if (memories_[index]->traits().kind == MemoryKind::dmabuf)
        return {memories_[index]->fd(), memories_[index]};
    const std::lock_guard lock(export_lock_);
    const auto exported = pins_[index] ? pins_[index]->peek() : nullptr;
    return {exported ? exported->get() : -1, exported};
}

Result<void> Buffer::bracket(Mapping& mapping, Deadline deadline) {
    if (options_.sharing == Sharing::consistent) return {};
    for (std::size_t m = 0; m < memory_count_; ++m) {
        auto dmabuf = dmabuf_to_sync(m);
        if (dmabuf.fd < 0) continue;
        if (auto waited = os::wait_fences(dmabuf.fd, mapping.access_, deadline); !waited) return waited;
        // Ours or not: whoever was given the dma-buf can add a fence after the look above.
        if (auto begun = os::sync_begin_guarded(dmabuf.fd, mapping.access_, deadline); !begun) return begun;
        mapping.synced_[m] = std::move(dmabuf);
    }
    return {};
}

Result<Mapping> Buffer::map(Access access, Deadline deadline) {
    return map_range(access, deadline, {0, layout_.size()});
}

Result<Mapping> Buffer::map(Access access, Deadline deadline, const ByteRange& range) {
    const auto operation = [&] {
        return fmt::format("mapping {} bytes at {} of a {}", range.length, range.offset, describe(layout_));
    };
    if (memory_count_ != 1)
        return make_error(Code::unsupported, operation(),
                          "its planes lie in several memories; map all of it");
    const auto end = checked_add(range.offset, range.length);
    if (range.length == 0 || !end || *end > layout_.size())
        return make_error(Code::invalid_argument, operation(),
                          fmt::format("it has {} bytes, of which at least 1 is needed", layout_.size()));
    return map_range(access, deadline, range);
}

Result<Mapping> Buffer::map_range(Access access, Deadline deadline, const ByteRange& range) {
    const auto operation = [&] {
        return fmt::format("mapping a {} for {}", describe(layout_), writes(access) ? "writing" : "reading");
    };
    if (!layout_.row_addressable())
        return make_error(Code::unsupported, operation(),
                          fmt::format("its modifier {} is tiled: only the device that made it can read it",
                                      modifier_text(layout_.modifier())));
    std::array<std::byte*, max_planes> base{};
    for (std::size_t i = 0; i < layout_.plane_count(); ++i) {
        auto view = memory(i)->view(access);
        if (!view) return std::move(view).error();
        base[i] = view->data() + offset_ + layout_.plane(i).offset;
    }
    if (auto taken = ownership_->acquire(detail::Holder::cpu, access, {}, deadline); !taken) {
        taken.error().operation = operation();
        if (taken.error().code == Code::busy)
            taken.error().detail += "; wait longer or take another buffer of the pool";
        return std::move(taken).error();
    }
    Mapping mapping(shared_from_this(), access, range);
    mapping.base_ = base;
    auto begun = bracket(mapping, deadline);
    if (begun) begun = ownership_->cpu_ready();
    if (begun) return mapping;
    mapping.range_ = {}; // nothing was written
    return std::move(begun).error();
}

Result<Attachment> Buffer::attach(Access access, std::string who, Deadline deadline) {
    if (auto taken = ownership_->acquire(detail::Holder::device, access, who, deadline); !taken) {
        taken.error().operation = fmt::format("attaching {} to a {}", who, describe(layout_));
        return std::move(taken).error();
    }
    Attachment attachment;
    attachment.buffer_ = shared_from_this();
    attachment.access_ = access;
    attachment.who_ = std::move(who);
    return attachment;
}

Result<Attachment> Buffer::attach_device(Access access, std::string who, Deadline deadline) {
    auto attachment = attach(access, std::move(who), deadline);
    if (!attachment) return attachment;
    auto handle = export_dmabuf();
    if (!handle) return std::move(handle).error();
    attachment->dmabuf_ = std::move(*handle);
    return attachment;
}

void Buffer::note_written(const ByteRange& range) noexcept {
    if (range.length == 0) return;
    const std::lock_guard lock(written_lock_);
    if (!written_) {
        written_ = range;
        return;
    }
    const auto begin = std::min(written_->offset, range.offset);
    const auto end = std::max(written_->offset + written_->length, range.offset + range.length);
    written_ = ByteRange{begin, end - begin};
}

std::optional<ByteRange> Buffer::take_written() {
    const std::lock_guard lock(written_lock_);
    return std::exchange(written_, std::nullopt);
}

Result<Fence> Buffer::fence(Access access) const {
    Fence all;
    for (std::size_t m = 0; m < memory_count_; ++m) {
        const auto dmabuf = dmabuf_to_sync(m);
        if (dmabuf.fd < 0) continue;
        auto done = os::fences_done(dmabuf.fd, access, Deadline::none());
        if (!done) return std::move(done).error();
        if (*done) continue;
        auto file = os::export_sync_file(dmabuf.fd, access);
        if (!file) return std::move(file).error();
        auto fence = Fence::from_sync_file(std::move(*file));
        if (!fence) return std::move(fence).error();
        auto merged = Fence::merge(all, *fence);
        if (!merged) return std::move(merged).error();
        all = std::move(*merged);
    }
    return all;
}

Result<void> Buffer::add_fence(const Fence& fence, Access access) {
    if (fence.fd() < 0) return {};
    for (std::size_t m = 0; m < memory_count_; ++m) {
        const auto dmabuf = dmabuf_to_sync(m);
        if (dmabuf.fd < 0)
            return make_error(Code::unsupported, fmt::format("adding a fence to a {}", describe(layout_)),
                              "it has no dma-buf to carry it; export_dmabuf() first");
        if (auto added = os::import_sync_file(dmabuf.fd, fence.fd(), access); !added) return added;
    }
    return {};
}

/// With export_lock_ held.
Result<std::shared_ptr<const UniqueFd>> Buffer::pin(std::size_t m, std::uint64_t begin,
                                                    std::uint64_t length) {
    auto& slot = pins_[m];
    if (!slot) slot = std::make_shared<detail::PinSlot>();
    if (auto held = slot->take()) return held;
    Memory& memory = *memories_[m];
    // What is a dma-buf already is pinned for life; a duplicate of its fd adds nothing.
    const bool pins = memory.traits().kind != MemoryKind::dmabuf;
    // What cannot be swapped counts as pinned since its allocation.
    const bool counts = pins && memory.traits().swappable;
    auto charge =
        detail::Charge::take(0, counts ? length : 0, fmt::format("pinning a {}", describe(layout_)));
    if (!charge) return std::move(charge).error();
    auto made = memory.export_dmabuf(begin, length);
    if (!made) return std::move(made).error();
    return slot->put(std::move(*made), std::move(*charge), pins);
}

Result<DmabufHandle> Buffer::export_dmabuf() {
    DmabufHandle handle{layout_, {}};
    const std::lock_guard lock(export_lock_);
    for (std::size_t m = 0; m < memory_count_; ++m) {
        const bool ranged = memories_[m]->traits().kind != MemoryKind::dmabuf;
        const std::uint64_t page = memories_[m]->traits().page_size;
        const std::uint64_t begin = ranged ? offset_ & ~(page - 1) : 0;
        // A described layout may claim more than the memory has, up to 2^64 - 1: then all of the rest.
        const std::uint64_t rest = memories_[m]->size() - begin;
        const auto wanted = checked_add(offset_ - begin, layout_.size());
        const auto aligned = wanted ? checked_align(*wanted, page) : std::nullopt;
        const std::uint64_t length =
            ranged && memory_count_ == 1 ? std::min(aligned.value_or(rest), rest) : rest;
        auto dmabuf = pin(m, begin, length);
        if (!dmabuf) return std::move(dmabuf).error();
        handle.fds[m] = std::move(*dmabuf);
        if (memory_count_ > 1) continue;
        auto rebased = layout_.rebased(offset_ - begin, length);
        if (!rebased) return std::move(rebased).error();
        handle.layout = *rebased;
    }
    return handle;
}

Result<MemfdHandle> Buffer::export_memfd() const {
    const Memory& first = *memories_[0];
    const auto operation = [&] { return fmt::format("exporting a {} as memfd", describe(layout_)); };
    const auto kind = first.traits().kind;
    if (memory_count_ != 1)
        return make_error(Code::unsupported, operation(), "its planes lie in several files");
    if (kind != MemoryKind::memfd && kind != MemoryKind::tmpfs && kind != MemoryKind::hugetlbfs)
        return make_error(
            Code::unsupported, operation(),
            fmt::format("it lies in {} memory, which is no file of the page cache", to_string(kind)));
    auto fd = os::duplicate(first.fd());
    if (!fd) return std::move(fd).error();
    return MemfdHandle{layout_, std::move(*fd), offset_, first.size()};
}

Result<SysvHandle> Buffer::export_sysv() const {
    const auto id = memories_[0]->sysv_id();
    if (!id)
        return make_error(Code::unsupported,
                          fmt::format("exporting a {} as System V segment", describe(layout_)),
                          fmt::format("it lies in {} memory; allocate from the heap sysv",
                                      to_string(memories_[0]->traits().kind)));
    return SysvHandle{layout_, *id, offset_, memories_[0]->size()};
}

bool Buffer::pinned() const noexcept {
    const std::lock_guard lock(export_lock_);
    for (std::size_t m = 0; m < memory_count_; ++m)
        if (pins_[m] && pins_[m]->pinned()) return true;
    return false;
}

// Mapping

Mapping::Mapping(std::shared_ptr<Buffer> buffer, Access access, const ByteRange& range) noexcept
    : buffer_(std::move(buffer)), access_(access), range_(range) {}

Mapping::Mapping(Mapping&& other) noexcept
    : buffer_(std::move(other.buffer_)),
      access_(other.access_),
      range_(other.range_),
      base_(other.base_),
      synced_(std::move(other.synced_)) {
    other.buffer_.reset();
}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    if (this == &other) return *this;
    (void)end();
    buffer_ = std::exchange(other.buffer_, nullptr);
    access_ = other.access_;
    range_ = other.range_;
    base_ = other.base_;
    synced_ = std::move(other.synced_);
    return *this;
}

Mapping::~Mapping() {
    (void)end();
}

const Layout& Mapping::layout() const noexcept {
    assert(buffer_);
    return buffer_->layout();
}

std::span<std::byte> Mapping::plane(std::size_t i) const noexcept {
    assert(buffer_ && i < layout().plane_count());
    const std::span<std::byte> whole{base_[i], layout().plane_bytes(i)};
    if (range_ == ByteRange{0, layout().size()}) return whole;
    const std::uint64_t first = layout().plane(i).offset;
    const auto begin = std::clamp(range_.offset, first, first + whole.size()) - first;
    const auto end = std::clamp(range_.offset + range_.length, first, first + whole.size()) - first;
    return whole.subspan(begin, end - begin);
}

std::span<std::byte> Mapping::row(std::size_t i, std::uint32_t row) const noexcept {
    assert(buffer_ && i < layout().plane_count() && row < layout().plane_height(i));
    const std::uint64_t at = std::uint64_t{layout().plane(i).stride} * row;
    const std::span<std::byte> bytes{base_[i] + at, layout().row_bytes(i)};
    assert(range_ == (ByteRange{0, layout().size()}) ||
           (layout().plane(i).offset + at >= range_.offset &&
            layout().plane(i).offset + at + bytes.size() <= range_.offset + range_.length));
    return bytes;
}

Result<void> Mapping::end_bracket() noexcept {
    Result<void> result;
    for (auto& dmabuf : synced_) {
        if (dmabuf.fd < 0) continue;
        if (auto ended = os::sync_end(dmabuf.fd, access_); !ended && result) result = std::move(ended);
        dmabuf = {};
    }
    if (writes(access_)) buffer_->note_written(range_);
    return result;
}

Result<void> Mapping::end() noexcept {
    if (!buffer_) return {};
    auto result = end_bracket();
    buffer_->ownership_->release(detail::Holder::cpu, access_, {});
    buffer_.reset();
    return result;
}

Result<Attachment> Mapping::hand_over(std::string who) {
    assert(buffer_ && writes(access_));
    auto result = end_bracket();
    if (result) result = buffer_->ownership_->hand_over(detail::Holder::cpu, {}, who);
    if (!result) {
        buffer_->ownership_->release(detail::Holder::cpu, access_, {});
        buffer_.reset();
        result.error().operation =
            fmt::format("handing a buffer over to {}: {}", who, result.error().operation);
        return std::move(result).error();
    }
    Attachment attachment;
    attachment.buffer_ = std::move(buffer_);
    attachment.who_ = std::move(who);
    buffer_.reset();
    return attachment;
}

// Attachment

Attachment::Attachment(Attachment&& other) noexcept
    : buffer_(std::exchange(other.buffer_, nullptr)),
      access_(other.access_),
      who_(std::move(other.who_)),
      dmabuf_(std::exchange(other.dmabuf_, std::nullopt)) {}

Attachment& Attachment::operator=(Attachment&& other) noexcept {
    if (this == &other) return *this;
    release();
    buffer_ = std::exchange(other.buffer_, nullptr);
    access_ = other.access_;
    who_ = std::move(other.who_);
    dmabuf_ = std::exchange(other.dmabuf_, std::nullopt);
    return *this;
}

Attachment::~Attachment() {
    release();
}

void Attachment::release() noexcept {
    if (!buffer_) return;
    if (writes(access_)) buffer_->note_written({0, buffer_->layout().size()});
    buffer_->ownership_->release(detail::Holder::device, access_, who_);
    dmabuf_.reset(); // after the release: who waited finds the same dma-buf still there
    buffer_.reset();
}

Result<void> Attachment::hand_over(std::string who) {
    assert(buffer_);
    if (!writes(access_)) return {};
    if (auto changed = buffer_->ownership_->hand_over(detail::Holder::device, who_, who); !changed) {
        changed.error().operation =
            fmt::format("handing a buffer over from {} to {}: {}", who_, who, changed.error().operation);
        return changed;
    }
    buffer_->note_written({0, buffer_->layout().size()});
    access_ = Access::read;
    who_ = std::move(who);
    return {};
}

} // namespace share
