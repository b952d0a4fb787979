// SPDX-License-Identifier: MIT
#include <share/ownership.hpp>

#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "core/buffer_access.hpp"
#include "sync/record_arbiter.hpp"

namespace share {
namespace {

using sync::LockedRange;
using sync::LockFile;
using namespace std::chrono_literals;

std::string operation_on(const char* what, const Buffer& buffer) {
    return fmt::format("{} a {}x{} {} buffer", what, buffer.layout().width(), buffer.layout().height(),
                       fourcc_text(buffer.layout().format()));
}

bool own_file_locks(const Memory& memory) noexcept {
    const auto kind = memory.traits().kind;
    return kind == MemoryKind::memfd || kind == MemoryKind::tmpfs || kind == MemoryKind::hugetlbfs;
}

std::size_t memory_count(const Buffer& buffer) noexcept {
    return buffer.planes_share_memory() ? 1 : buffer.layout().plane_count();
}

/// Where the buffer lies in that memory. A described layout may claim more than there is: cut at the end.
ByteRange range_in(const Buffer& buffer, std::size_t memory) {
    const std::uint64_t size = buffer.memory(memory)->size();
    if (!buffer.planes_share_memory()) return {0, size};
    return {buffer.offset(), std::min(buffer.layout().size(), size - buffer.offset())};
}

Result<LockedRange> locked_range(const Buffer& buffer, std::size_t m) {
    Memory& memory = *buffer.memory(m);
    auto range = range_in(buffer, m);
    if (own_file_locks(memory)) {
        auto file = LockFile::of(memory.fd());
        if (!file) return std::move(file).error();
        return LockedRange{std::move(*file), range};
    }
    auto beside = LockFile::beside(memory);
    if (!beside) return std::move(beside).error();
    range.offset += beside->base;
    return LockedRange{std::move(beside->file), range};
}

Result<void> check(const Buffer& buffer) {
    if (buffer.sharing() == Sharing::consistent)
        return make_error(Code::unsupported, operation_on("sharing the ownership of", buffer),
                          fmt::format("{} wants it consistent: nobody owns it alone", buffer.decided_by()));
    return {};
}

std::shared_ptr<sync::RecordArbiter> arbiter_of(Buffer& buffer) {
    return std::static_pointer_cast<sync::RecordArbiter>(detail::BufferAccess::ownership(buffer).arbiter());
}

Result<void> install(Buffer& buffer, std::vector<LockedRange> parts) {
    auto& ownership = detail::BufferAccess::ownership(buffer);
    const auto wanted = std::make_shared<sync::RecordArbiter>(std::move(parts));
    if (ownership.set_arbiter(wanted)) return {};
    if (const auto there = arbiter_of(buffer)) { // joined before, or another thread was faster
        if (there->same(*wanted)) return {};
        return make_error(Code::busy, operation_on("sharing the ownership of", buffer),
                          "it is shared already by the locks of another file; make another Buffer for these");
    }
    return make_error(Code::busy, operation_on("sharing the ownership of", buffer),
                      "it is mapped or attached; do this first, or release it");
}

Error not_shared(const Buffer& buffer) {
    return make_error(Code::unsupported, operation_on("asking who holds", buffer),
                      "its ownership is not shared between processes; share_ownership() first");
}

} // namespace

Result<void> share_ownership(Buffer& buffer) {
    if (auto good = check(buffer); !good) return good;
    if (arbiter_of(buffer)) return {};
    std::vector<LockedRange> parts;
    for (std::size_t m = 0; m < memory_count(buffer); ++m) {
        auto part = locked_range(buffer, m);
        if (!part) return std::move(part).error();
        parts.push_back(std::move(*part));
    }
    return install(buffer, std::move(parts));
}

Result<OwnershipHandle> export_ownership(Buffer& buffer) {
    if (auto shared = share_ownership(buffer); !shared) return std::move(shared).error();
    OwnershipHandle handle;
    for (const auto& part : arbiter_of(buffer)->parts()) {
        auto fd = part.file->fd_to_send();
        if (!fd) return std::move(fd).error();
        handle.parts.push_back({std::move(*fd), part.range});
    }
    return handle;
}

Result<void> join_ownership(Buffer& buffer, OwnershipHandle handle) {
    if (auto good = check(buffer); !good) return good;
    const auto bad = [&](std::string why) {
        return make_error(Code::invalid_argument, operation_on("joining the ownership of", buffer),
                          std::move(why));
    };
    if (handle.parts.empty() || handle.parts.size() > max_planes)
        return bad(
            fmt::format("the handle has {} parts, 1 to {} are possible", handle.parts.size(), max_planes));
    std::vector<LockedRange> parts;
    for (auto& part : handle.parts) {
        const auto end = checked_add(part.range.offset, part.range.length);
        if (part.range.length == 0 || !end || *end > LockFile::gate)
            return bad(fmt::format("{} bytes at {} are no range", part.range.length, part.range.offset));
        auto file = LockFile::of(part.fd.get());
        if (!file) return std::move(file).error();
        parts.push_back({std::move(*file), part.range});
    }
    // So that this process can hand the memory on, and knows it again in another Buffer.
    const auto& first = parts.front();
    if (parts.size() == 1 && buffer.planes_share_memory() && !own_file_locks(*buffer.memory()) &&
        first.range.offset >= buffer.offset())
        LockFile::remember_beside(*buffer.memory(), {first.file, first.range.offset - buffer.offset()});
    return install(buffer, std::move(parts));
}

Result<bool> held_elsewhere(Buffer& buffer) {
    const auto arbiter = arbiter_of(buffer);
    if (!arbiter) return not_shared(buffer);
    for (const auto& part : arbiter->parts()) {
        auto held = part.file->held_elsewhere(part.range);
        if (!held || *held) return held;
    }
    return false;
}

Result<void> wait_until_taken(Buffer& buffer, Deadline deadline) {
    auto nap = std::chrono::microseconds(50);
    for (;;) {
        auto held = held_elsewhere(buffer);
        if (!held) return std::move(held).error();
        if (*held) return {};
        if (deadline.passed())
            return make_error(Code::timed_out, operation_on("handing over", buffer),
                              "no other process has taken it; keep the hold, or release it and let it go");
        std::this_thread::sleep_until(std::min(deadline.when(), Deadline::Clock::now() + nap));
        nap = std::min(nap * 2, std::chrono::microseconds(LockFile::longest_nap));
    }
}

std::optional<ProcessHolder> other_holder(Buffer& buffer, Access access) {
    const auto arbiter = arbiter_of(buffer);
    if (!arbiter) return std::nullopt;
    const auto budget = Deadline::in(250ms); // for all parts together
    for (const auto& part : arbiter->parts())
        if (auto found = part.file->holder(part.range, access, budget.remaining_ms()))
            return ProcessHolder{found->pid, std::move(found->name), found->writes};
    return std::nullopt;
}

} // namespace share
