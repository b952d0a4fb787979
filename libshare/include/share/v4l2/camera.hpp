// SPDX-License-Identifier: MIT
// Camera: a V4L2 capture device that writes into shared Buffers.
//
// Two ways, told by memory() and notes(): our buffers, which the driver imports (V4L2_MEMORY_DMABUF), or the
// driver's own, exported (VIDIOC_EXPBUF) and imported here. Left to itself it tries our heaps in the order of
// the table and then the driver's own: a driver that wants contiguous memory refuses at the first queueing.
//
// The life of a buffer: queued (the camera holds a write Attachment: nobody can map it, it is never lent) ->
// filled -> a Frame (the Frame holds a read Attachment) -> the Frame is destroyed -> queued again, as soon as
// no consumer's Attachment and no fence of a reader's device is left on it. That is looked at when a Frame
// goes and in next(). A consumer that shows a frame needs no Frame any more once it holds its Attachment.
//
// It is no share::Source: a Source writes into a mapping that it is given, a camera has its own buffers.
//
// Owner: the program. Frames may outlive the Camera: their pictures stay, and the device closes with the
// last. Thread: one uses a Camera and destroys its Frames; attachments may go on any. Units: pixels,
// nanoseconds of CLOCK_MONOTONIC. Errors: as Device; busy (all buffers are held by consumers), disconnected
// (unplugged). Source: userspace-api/media/v4l (capture, dmabuf, VIDIOC_EXPBUF, VIDIOC_DQBUF).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/heap.hpp>
#include <share/ledger.hpp>
#include <share/v4l2/device.hpp>

namespace share::v4l2 {

enum class FrameMemory : std::uint8_t {
    automatic,
    ours,    ///< of a heap
    drivers, ///< of the driver
};

struct CameraOptions {
    std::uint32_t width = 0, height = 0; ///< 0x0: what the device has now; else the nearest that it can
    std::vector<Fourcc> formats;         ///< what the consumer takes, best first
    std::uint32_t rate = 0;              ///< frames a second; 0: the device's
    std::uint32_t buffers = 4;           ///< 2 to 32
    FrameMemory memory = FrameMemory::automatic;
    std::string heap; ///< the only one to take; empty: udmabuf, then each dma-heap
};

class Camera;
struct Dequeued;

/// One picture, lent. Destroying it is giving it back.
class SHARE_API [[nodiscard]] Frame {
public:
    Frame(Frame&&) noexcept;
    Frame& operator=(Frame&&) noexcept;
    ~Frame();

    const std::shared_ptr<Buffer>& buffer() const noexcept;
    std::uint32_t index() const noexcept { return index_; } ///< stable: the same Buffer each time
    std::uint32_t sequence() const noexcept { return sequence_; }
    /// Frames that the device counted and that never reached us, just before this one.
    std::uint32_t lost_before() const noexcept { return lost_; }
    std::uint64_t timestamp_ns() const noexcept { return timestamp_ns_; }
    /// The driver flagged it, or wrote less than a whole picture: its content is not to be trusted.
    bool corrupt() const noexcept { return corrupt_; }
    /// The step for a ledger's record: who wrote what, without a copy of ours.
    Step step() const;

private:
    friend class Camera;
    struct Lease;
    Frame() noexcept;
    std::unique_ptr<Lease> lease_;
    std::uint32_t index_ = 0, sequence_ = 0, lost_ = 0;
    std::uint64_t timestamp_ns_ = 0;
    bool corrupt_ = false;
};

class SHARE_API Camera {
public:
    struct State;

    /// Negotiates, allocates, and has the driver take every buffer once. `heaps` is used here only.
    static Result<std::unique_ptr<Camera>> open(Device device, const HeapTable& heaps,
                                                const CameraOptions& options);
    /// Into Buffers of the program's, as an Agreement has laid them out: 2 to 32 of one layout in rows, each
    /// in memory that becomes a dma-buf. Format, size and stride are theirs; of the options only `rate`
    /// counts. Errors: also unsupported (the driver lays its pictures out in another way, naming it; it does
    /// not take this memory), invalid_argument (Buffers that differ).
    static Result<std::unique_ptr<Camera>>
    open(Device device, std::span<const std::shared_ptr<Buffer>> buffers, const CameraOptions& options = {});
    ~Camera();
    Camera(const Camera&) = delete;
    Camera& operator=(const Camera&) = delete;

    const DeviceInfo& info() const noexcept;
    const StreamFormat& format() const noexcept;
    const Layout& layout() const noexcept { return *format().layout; }
    /// "udmabuf", "dma-heap:system", ... or "driver".
    const std::string& memory() const noexcept;
    /// What was not taken, and why.
    const std::vector<Ledger::Note>& notes() const noexcept;
    const std::vector<std::shared_ptr<Buffer>>& buffers() const noexcept;

    Result<void> start();
    /// Waits for the next picture. Starts the stream when it does not run.
    Result<Frame> next(Deadline deadline);
    /// Stops the stream. Lent frames stay readable.
    Result<void> stop();
    /// Readable when next() has something: for poll.
    int fd() const noexcept;
    Device& device() noexcept;

    struct Totals {
        std::uint64_t frames = 0, lost = 0, corrupt = 0;
    };
    const Totals& totals() const noexcept;
    /// Buffers that the driver has now.
    std::size_t queued() const noexcept;

private:
    explicit Camera(std::shared_ptr<State> state) noexcept;
    Result<Frame> take(const Dequeued& done);
    std::shared_ptr<State> state_;
};

} // namespace share::v4l2
