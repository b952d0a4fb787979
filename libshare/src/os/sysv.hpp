// SPDX-License-Identifier: MIT
// System V shared memory. Thin; no policy. Thread: any. Source: shmget(2), shmop(2), shmctl(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <share/memory.hpp>

namespace share::os {

struct Segment {
    int id = -1;
    std::span<std::byte> bytes; ///< attached; unmap() detaches
};
/// A private segment of mode 0600, attached here and marked for removal, so that it cannot outlive its users.
Result<Segment> create_segment(std::uint64_t size);

struct SegmentStatus {
    std::uint64_t size = 0;
    unsigned uid = 0, creator_uid = 0, mode = 0; ///< mode: permission bits
    std::int64_t change_time = 0;
    int creator_pid = 0;
    friend bool operator==(const SegmentStatus&, const SegmentStatus&) = default;
};
Result<SegmentStatus> segment_status(int id);
Result<std::span<std::byte>> attach_segment(int id, std::uint64_t size, Access access);
/// Whatever the size of the segment that is attached there.
void detach_segment(std::span<std::byte> bytes) noexcept;
unsigned effective_uid() noexcept;

} // namespace share::os
