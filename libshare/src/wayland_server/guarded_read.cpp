// SPDX-License-Identifier: MIT
#include <share/wayland_server/guarded_read.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "shm_memory.hpp"

namespace share::wayland_server {

namespace {

Error truncated(const Buffer& buffer) {
    return make_error(Code::corrupt,
                      fmt::format("reading a client's {}x{} {} buffer", buffer.layout().width(),
                                  buffer.layout().height(), fourcc_text(buffer.layout().format())),
                      "the client's file is shorter than its buffer; it must not truncate a file in use");
}

/// Asked before the guard goes up: the common mistake is then told without a fault. Only a hint, for the
/// file may shrink right after.
Result<void> check_plane(const Buffer& buffer, std::size_t plane) {
    const auto& memory = *buffer.memory(plane);
    if (const auto* shm = dynamic_cast<const ShmMemory*>(&memory); shm && shm->lost())
        return truncated(buffer);
    struct stat status{};
    if (::fstat(memory.fd(), &status) < 0)
        return error_from_errno(errno, "asking for the size of a client's file");
    const auto& layout = buffer.layout();
    const auto end = checked_add(buffer.offset() + layout.plane(plane).offset, layout.plane_bytes(plane));
    if (!end || *end > static_cast<std::uint64_t>(status.st_size)) return truncated(buffer);
    return {};
}

/// The plane in whole pages of its memory: the kernel replaces huge pages whole or not at all.
Result<std::span<const std::byte>> in_whole_pages(Memory& memory, std::span<const std::byte> plane) {
    auto view = memory.view(Access::read);
    if (!view) return std::move(view).error();
    const auto page = memory.traits().page_size;
    const auto begin = static_cast<std::size_t>(plane.data() - view->data()) / page * page;
    const auto end = static_cast<std::size_t>(plane.data() + plane.size() - view->data());
    const auto whole = std::min((end + page - 1) / page * page, view->size());
    return std::span<const std::byte>(*view).subspan(begin, whole - begin);
}

} // namespace

Result<void> check_present(const Buffer& buffer) {
    for (std::size_t i = 0; i < buffer.layout().plane_count(); ++i) {
        if (!buffer.memory(i)->traits().can_shrink) continue;
        if (auto present = check_plane(buffer, i); !present) return present;
    }
    return {};
}

GuardedRead::GuardedRead(std::shared_ptr<Buffer> buffer, Mapping mapping) noexcept
    : buffer_(std::move(buffer)), mapping_(std::move(mapping)) {}

GuardedRead::~GuardedRead() {
    (void)end();
}

Result<GuardedRead> GuardedRead::begin(Buffer& buffer, Deadline deadline) {
    if (auto present = check_present(buffer); !present) return std::move(present).error();
    auto mapping = buffer.map(Access::read, deadline);
    if (!mapping) return std::move(mapping).error();
    GuardedRead read(buffer.shared_from_this(), std::move(*mapping));
    for (std::size_t i = 0; i < buffer.layout().plane_count(); ++i) {
        if (!buffer.memory(i)->traits().can_shrink) continue;
        auto pages = in_whole_pages(*buffer.memory(i), read.mapping_.plane(i));
        if (!pages) return std::move(pages).error();
        auto guard = GuardedRegion::create(*pages);
        if (!guard) return std::move(guard).error();
        read.guards_[i].emplace(std::move(*guard));
    }
    return read;
}

bool GuardedRead::guarded() const noexcept {
    for (const auto& guard : guards_)
        if (guard) return true;
    return false;
}

Result<void> GuardedRead::end() noexcept {
    if (!buffer_) return {}; // moved from
    bool missing = false;
    for (std::size_t i = 0; i < guards_.size(); ++i) {
        if (!guards_[i]) continue;
        auto* shm = dynamic_cast<ShmMemory*>(buffer_->memory(i).get());
        if (guards_[i]->tripped()) {
            missing = true;
            if (shm) shm->set_lost();
        }
        missing = missing || (shm && shm->lost()); // another read of the pool found out meanwhile
        guards_[i].reset();
    }
    auto ended = mapping_.end();
    if (missing) return truncated(*buffer_);
    return ended;
}

} // namespace share::wayland_server
