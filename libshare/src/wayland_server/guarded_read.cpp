// SPDX-License-Identifier: MIT
#include <share/wayland_server/guarded_read.hpp>

#include <sys/stat.h>

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
Result<void> check_present(const Buffer& buffer, std::size_t plane) {
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

} // namespace

GuardedRead::GuardedRead(std::shared_ptr<Buffer> buffer, Mapping mapping) noexcept
    : buffer_(std::move(buffer)), mapping_(std::move(mapping)) {}

GuardedRead::~GuardedRead() {
    (void)end();
}

Result<GuardedRead> GuardedRead::begin(Buffer& buffer, Deadline deadline) {
    const auto planes = buffer.layout().plane_count();
    for (std::size_t i = 0; i < planes; ++i) {
        if (!buffer.memory(i)->traits().can_shrink) continue;
        if (auto present = check_present(buffer, i); !present) return std::move(present).error();
    }
    auto mapping = buffer.map(Access::read, deadline);
    if (!mapping) return std::move(mapping).error();
    GuardedRead read(buffer.shared_from_this(), std::move(*mapping));
    for (std::size_t i = 0; i < planes; ++i) {
        if (!buffer.memory(i)->traits().can_shrink) continue;
        auto guard = GuardedRegion::create(read.mapping_.plane(i));
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
    bool missing = false;
    for (std::size_t i = 0; i < guards_.size(); ++i) {
        if (!guards_[i]) continue;
        if (guards_[i]->tripped()) {
            missing = true;
            if (auto* shm = dynamic_cast<ShmMemory*>(buffer_->memory(i).get())) shm->set_lost();
        }
        guards_[i].reset();
    }
    auto ended = mapping_.end();
    if (missing) return truncated(*buffer_);
    return ended;
}

} // namespace share::wayland_server
