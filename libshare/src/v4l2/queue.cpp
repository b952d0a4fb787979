// SPDX-License-Identifier: MIT
#include "queue.hpp"

#include <fcntl.h>
#include <linux/videodev2.h>

#include <cerrno>

#include <fmt/format.h>

#include "ioctl.hpp"

namespace share::v4l2 {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000, microsecond_ns = 1'000;

/// The planes of one v4l2_buffer, single-planar ones as if there were one plane.
struct Message {
    v4l2_buffer buffer{};
    std::array<v4l2_plane, max_memories> planes{};

    Message(std::uint32_t type, Backing backing, std::size_t memories) {
        buffer.type = type;
        buffer.memory = backing == Backing::dmabuf ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP;
        if (!V4L2_TYPE_IS_MULTIPLANAR(type)) return;
        buffer.m.planes = planes.data();
        buffer.length = static_cast<std::uint32_t>(memories);
    }
    bool multiplanar() const noexcept { return V4L2_TYPE_IS_MULTIPLANAR(buffer.type); }
};

void put_payload(Message& message, std::size_t memory, std::uint64_t bytes) {
    if (!V4L2_TYPE_IS_OUTPUT(message.buffer.type)) return;
    if (message.multiplanar())
        message.planes[memory].bytesused = static_cast<std::uint32_t>(bytes);
    else
        message.buffer.bytesused = static_cast<std::uint32_t>(bytes);
}

/// The length counts from the dma-buf's start and tells the kernel how much of it may be used.
void put_fd(Message& message, std::size_t memory, int fd, std::uint64_t length) {
    if (message.multiplanar()) {
        message.planes[memory].m.fd = fd;
        message.planes[memory].length = static_cast<std::uint32_t>(length);
    } else {
        message.buffer.m.fd = fd;
        message.buffer.length = static_cast<std::uint32_t>(length);
    }
}

Dequeued read(const Message& message, std::size_t memories) {
    const auto& b = message.buffer;
    Dequeued done;
    done.index = b.index;
    done.sequence = b.sequence;
    done.memories = static_cast<std::uint32_t>(memories);
    done.timestamp_ns = static_cast<std::uint64_t>(b.timestamp.tv_sec) * second_ns +
                        static_cast<std::uint64_t>(b.timestamp.tv_usec) * microsecond_ns;
    done.error = (b.flags & V4L2_BUF_FLAG_ERROR) != 0;
    done.last = (b.flags & V4L2_BUF_FLAG_LAST) != 0;
    for (std::size_t i = 0; i < memories; ++i) {
        done.bytes[i] = message.multiplanar() ? message.planes[i].bytesused : b.bytesused;
        done.data_offset[i] = message.multiplanar() ? message.planes[i].data_offset : 0;
    }
    return done;
}

} // namespace

std::string BufferQueue::text() const {
    return queue_text(device_.info(), to_string(side_));
}

Result<std::uint32_t> BufferQueue::request(Backing backing, std::uint32_t count, std::size_t memories) {
    v4l2_requestbuffers request{};
    request.count = count;
    request.type = device_.buffer_type(side_);
    request.memory = backing == Backing::dmabuf ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP;
    const char* const kind = backing == Backing::dmabuf ? "dma-bufs of others" : "buffers of the driver";
    if (const int why = call(device_.fd(), VIDIOC_REQBUFS, &request); why != 0)
        return refused(why, fmt::format("asking the {} for room for {} {}", text(), count, kind),
                       why == EBUSY    ? "another program streams from it"
                       : why == EINVAL ? "the driver does not take this kind"
                                       : "VIDIOC_REQBUFS");
    backing_ = backing;
    memories_ = memories;
    finished_ = false;
    return request.count;
}

void BufferQueue::free() noexcept {
    v4l2_requestbuffers request{};
    request.type = device_.buffer_type(side_);
    request.memory = backing_ == Backing::dmabuf ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP;
    (void)call(device_.fd(), VIDIOC_REQBUFS, &request);
}

Result<void> BufferQueue::queue(std::uint32_t index, const DmabufHandle* handle, const StreamFormat& format,
                                const Payload& payload) {
    Message message(device_.buffer_type(side_), backing_, memories_);
    auto& b = message.buffer;
    b.index = index;
    b.field = V4L2_FIELD_NONE;
    b.timestamp.tv_sec = static_cast<time_t>(payload.timestamp_ns / second_ns);
    b.timestamp.tv_usec = static_cast<suseconds_t>(payload.timestamp_ns % second_ns / microsecond_ns);
    for (std::size_t i = 0; i < memories_; ++i) {
        put_payload(message, i, format.compressed() ? payload.bytes : format.sizes[i]);
        if (backing_ == Backing::dmabuf && handle) put_fd(message, i, handle->fd(i), format.sizes[i]);
    }
    if (const int why = call(device_.fd(), VIDIOC_QBUF, &b); why != 0)
        return refused(why, fmt::format("queueing buffer {} on the {}", index, text()), "VIDIOC_QBUF");
    return {};
}

Result<std::optional<Dequeued>> BufferQueue::dequeue() {
    Message message(device_.buffer_type(side_), backing_, memories_);
    const int why = call(device_.fd(), VIDIOC_DQBUF, &message.buffer);
    if (why == EAGAIN) return std::optional<Dequeued>();
    if (why == EPIPE) {
        finished_ = true;
        return std::optional<Dequeued>();
    }
    if (why != 0)
        return refused(why, fmt::format("taking a buffer from the {}", text()),
                       why == EINVAL ? "the queue does not stream"
                       : why == EIO  ? "the driver reports a fault of the device"
                                     : "VIDIOC_DQBUF");
    return std::optional(read(message, memories_));
}

Result<void> BufferQueue::stream(bool on) {
    int type = static_cast<int>(device_.buffer_type(side_));
    const int why = call(device_.fd(), on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type);
    if (!on) streaming_ = false; // a device that is gone streams no more either
    if (why != 0)
        return refused(why, fmt::format("{} the {}", on ? "starting" : "stopping", text()),
                       on ? "VIDIOC_STREAMON" : "VIDIOC_STREAMOFF");
    streaming_ = on;
    finished_ = false;
    return {};
}

Result<UniqueFd> BufferQueue::export_memory(std::uint32_t index, std::uint32_t memory) const {
    v4l2_exportbuffer request{};
    request.type = device_.buffer_type(side_);
    request.index = index;
    request.plane = memory;
    request.flags = O_CLOEXEC | O_RDWR;
    if (const int why = call(device_.fd(), VIDIOC_EXPBUF, &request); why != 0)
        return refused(why, fmt::format("exporting buffer {} of the {} as dma-buf", index, text()),
                       why == ENOTTY || why == EINVAL ? "the driver exports none" : "VIDIOC_EXPBUF");
    return UniqueFd(request.fd);
}

} // namespace share::v4l2
