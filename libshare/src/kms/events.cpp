// SPDX-License-Identifier: MIT
#include "events.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

#include "drm_ptr.hpp"

namespace share::kms {

Result<void> Events::read_some(int fd) {
    alignas(std::uint64_t) std::array<std::byte, 1024> data;
    const ssize_t size = ::read(fd, data.data(), data.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return {};
    if (size < 0) return error_from_errno(errno, fmt::format("reading events of DRM fd {}", fd), "read");
    const auto end = static_cast<std::size_t>(size);
    for (std::size_t at = 0; at + sizeof(drm_event) <= end;) {
        drm_event head{};
        std::memcpy(&head, &data[at], sizeof head);
        if (head.length < sizeof head || head.length > end - at) break;
        if (head.type == DRM_EVENT_FLIP_COMPLETE && head.length >= sizeof(drm_event_vblank)) {
            drm_event_vblank flip{};
            std::memcpy(&flip, &data[at], sizeof flip);
            arrived_[flip.user_data] = {flip.sequence, std::chrono::seconds(flip.tv_sec) +
                                                           std::chrono::microseconds(flip.tv_usec)};
        }
        at += head.length;
    }
    // Those of displays that are gone meet nobody: the oldest go first.
    while (arrived_.size() > keep)
        arrived_.erase(arrived_.begin());
    return {};
}

Result<ScanOut::Flip> Events::wait(int fd, std::uint64_t token, Deadline deadline) {
    const auto operation = [&] { return fmt::format("waiting for commit {} on DRM fd {}", token, fd); };
    for (;;) {
        const auto found = arrived_.find(token);
        if (found != arrived_.end()) {
            const ScanOut::Flip flip = found->second;
            arrived_.erase(found);
            return flip;
        }
        struct pollfd entry{fd, POLLIN, 0};
        const int rc = ::poll(&entry, 1, deadline.remaining_ms());
        if (rc < 0 && errno == EINTR) continue;
        if (rc < 0) return error_from_errno(errno, operation(), "poll");
        if (rc == 0)
            return make_error(Code::timed_out, operation(),
                              "the display did not say before the deadline that the picture is on it");
        if ((entry.revents & POLLIN) == 0)
            return make_error(Code::disconnected, operation(), "the device is gone");
        if (auto read = read_some(fd); !read) return std::move(read).error();
    }
}

} // namespace share::kms
