// SPDX-License-Identifier: MIT
// BufferQueue: the ioctls of one V4L2 buffer queue, single- and multi-planar alike.
//
// Owner: a Camera or an M2m, with the device. Thread: its owner's. Units: bytes, nanoseconds.
// Errors: disconnected, busy, and what the driver says. Source: userspace-api/media/v4l/io.html, dmabuf.html.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include <share/handle.hpp>
#include <share/v4l2/device.hpp>

namespace share::v4l2 {

enum class Backing : std::uint8_t { dmabuf, driver };

/// A buffer that the driver gave back.
struct Dequeued {
    std::uint32_t index = 0, sequence = 0, memories = 1;
    std::uint64_t timestamp_ns = 0;
    bool error = false, last = false;
    std::array<std::uint64_t, max_memories> bytes{};
    std::array<std::uint32_t, max_memories> data_offset{};
};

class BufferQueue {
public:
    BufferQueue(const Device& device, Side side) : device_(device), side_(side) {}
    BufferQueue(const BufferQueue&) = delete;
    BufferQueue& operator=(const BufferQueue&) = delete;

    /// How many the driver really has room for. Errors: busy (another file handle streams), unsupported.
    Result<std::uint32_t> request(Backing backing, std::uint32_t count, std::size_t memories);
    void free() noexcept;
    /// `bytes`: of compressed data in an output buffer.
    struct Payload {
        std::uint64_t bytes = 0;
        std::uint64_t timestamp_ns = 0;
    };
    /// `handle` may be null for the driver's own memory.
    Result<void> queue(std::uint32_t index, const DmabufHandle* handle, const StreamFormat& format,
                       const Payload& payload);
    /// Nothing when none is done. Errors: `finished()` is set when the last buffer came before.
    Result<std::optional<Dequeued>> dequeue();
    /// True once the driver said that nothing more comes (EPIPE).
    bool finished() const noexcept { return finished_; }
    Result<void> stream(bool on);
    bool streaming() const noexcept { return streaming_; }
    Result<UniqueFd> export_memory(std::uint32_t index, std::uint32_t memory) const;
    std::string text() const;

private:
    const Device& device_;
    Side side_;
    Backing backing_ = Backing::dmabuf;
    std::size_t memories_ = 1;
    bool streaming_ = false, finished_ = false;
};

} // namespace share::v4l2
