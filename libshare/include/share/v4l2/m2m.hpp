// SPDX-License-Identifier: MIT
// M2m: a memory-to-memory device: decoder, encoder, scaler, converter. Shared Buffers on both sides.
//
// Two queues, each with buffers of ours that the driver imports (V4L2_MEMORY_DMABUF): `output` is what goes
// into the device, `capture` what comes out (the kernel's words, seen from the program). A queued Buffer is
// held by an Attachment: for reading on the output side, for writing on the capture side; wait() tells when
// it is done. No pixel is touched by the CPU here.
//
// A converter: set both formats, convert(). A stateful decoder: set the compressed format, reserve and queue
// on the output side, start it, wait for source_change, then set up the capture side and start that; drain()
// after the last piece; the last picture has `last` set, and `finished` follows. A stateful encoder the same
// without source_change. Another source_change in mid-stream: wait for `last`, stop the capture side, set it
// up anew.
//
// Owner: the program. Thread: one. Units: bytes, nanoseconds. Errors: as Device; busy (no room in the
// queue, a Buffer that somebody holds or whose fences are not done), disconnected. Source:
// userspace-api/media/v4l/dev-decoder.html, dev-encoder.html.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/swapchain.hpp>
#include <share/v4l2/device.hpp>

namespace share::v4l2 {

class SHARE_API M2m {
public:
    struct Event {
        enum class Kind : std::uint8_t {
            buffer,        ///< a Buffer came back from `side`
            source_change, ///< the stream's size or format: look at format(Side::capture)
            finished,      ///< drained: nothing more comes until resume() or a new start
        };
        Kind kind = Kind::buffer;
        Side side = Side::capture;
        std::shared_ptr<Buffer> buffer;
        std::uint64_t bytes = 0;        ///< payload; 0 is legal for the last buffer of a drain
        std::uint64_t timestamp_ns = 0; ///< of the output buffer that it was made from
        std::uint32_t sequence = 0;
        bool corrupt = false, last = false;
    };
    /// What an output buffer carries. The timestamp travels to the capture buffer made of it.
    struct Payload {
        std::uint64_t bytes = 0; ///< of compressed data; raw pictures are always whole
        std::uint64_t timestamp_ns = 0;
    };

    static Result<std::unique_ptr<M2m>> open(Device device);
    ~M2m();
    M2m(const M2m&) = delete;
    M2m& operator=(const M2m&) = delete;

    const DeviceInfo& info() const noexcept;
    Device& device() noexcept;

    /// Errors: as Device::set_format; busy when the side has buffers.
    Result<StreamFormat> set_format(Side side, const WantedFormat& wanted);
    Result<StreamFormat> format(Side side) const;
    /// The part of a decoded picture that is meant to be seen; nothing when the device does not tell.
    std::optional<Rect> visible() const;

    /// Room for buffers; returns how many the driver gave. Reads the side's format.
    Result<std::uint32_t> reserve(Side side, std::uint32_t count);
    /// Gives a Buffer to the device. It keeps its place in the queue, so that the driver maps it once only.
    Result<void> queue(Side side, const std::shared_ptr<Buffer>& buffer, const Payload& payload);
    Result<void> queue(Side side, const std::shared_ptr<Buffer>& buffer) {
        return queue(side, buffer, Payload{});
    }
    Result<void> start(Side side);
    /// Everything queued on that side comes back at once, without an event.
    Result<void> stop(Side side);
    /// stop(), and the places are freed: a new format can be set.
    Result<void> clear(Side side);

    /// The next thing that happened. Errors: timed_out, busy (nothing is queued, so nothing can come).
    Result<Event> wait(Deadline deadline);
    /// No more output buffers come: what is in the device is finished. Codecs only.
    Result<void> drain();
    /// Goes on after a drain.
    Result<void> resume();

    /// One picture through a converter: queues both, starts both sides, waits for the result.
    Result<Event> convert(const std::shared_ptr<Buffer>& from, const std::shared_ptr<Buffer>& to,
                          Deadline deadline);
    /// Buffers that the device has now.
    std::size_t queued(Side side) const noexcept;
    /// Readable or with urgent data when wait() has something: poll for POLLIN | POLLOUT | POLLPRI.
    int fd() const noexcept;

private:
    struct Impl;
    explicit M2m(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

} // namespace share::v4l2
