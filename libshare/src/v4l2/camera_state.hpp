// SPDX-License-Identifier: MIT
// Camera::State: the slots of a capture queue and who has each. Shared by the Camera and its Frames.
// Thread: the Camera's.
#pragma once

#include <optional>
#include <vector>

#include <share/v4l2/camera.hpp>

#include "queue.hpp"

namespace share::v4l2 {

struct Camera::State {
    struct Slot {
        std::shared_ptr<Buffer> buffer;
        std::optional<DmabufHandle>
            handle;         ///< keeps the dma-buf that the driver attached to; empty for its own memory
        Attachment writing; ///< while the driver has it
        Attachment reading; ///< while a Frame has it
        Fence fence;        ///< work of a reader's device that is not done
    };
    State(Device d, StreamFormat f)
        : device(std::move(d)), format(std::move(f)), queue(device, Side::capture) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State();

    /// Gives the slot to the driver, unless somebody still reads it. `failure` keeps what the driver says.
    void try_queue(std::uint32_t index);
    void queue_free_slots();
    void give_back(std::uint32_t index) noexcept;
    Result<void> use_buffers(Backing backing, std::vector<std::shared_ptr<Buffer>> buffers);
    void drop_buffers() noexcept;
    Result<void> stop();
    std::size_t queued() const noexcept;
    std::string who() const;

    Device device;
    StreamFormat format;
    BufferQueue queue;
    Backing backing = Backing::dmabuf;
    std::vector<Slot> slots;
    std::vector<std::shared_ptr<Buffer>> buffers;
    std::string memory;
    std::vector<Ledger::Note> notes;
    std::optional<Error> failure;
    std::optional<std::uint32_t> last_sequence;
    Totals totals;
    bool open = true; ///< the Camera lives: what comes back is queued again
};

} // namespace share::v4l2
