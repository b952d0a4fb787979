// SPDX-License-Identifier: MIT
#include "camera_state.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace share::v4l2 {

Camera::State::~State() {
    (void)stop();
    drop_buffers();
}

std::string Camera::State::who() const {
    return fmt::format("the camera {} ({})", device.info().driver, device.info().path);
}

std::size_t Camera::State::queued() const noexcept {
    return static_cast<std::size_t>(std::count_if(
        slots.begin(), slots.end(), [](const Slot& slot) { return static_cast<bool>(slot.writing); }));
}

void Camera::State::try_queue(std::uint32_t index) {
    auto& slot = slots[index];
    if (!open || failure || slot.writing || slot.reading) return;
    slot.fence = {};
    auto writing = slot.buffer->attach(Access::write, who(), Deadline::none());
    if (!writing) return; // a consumer still reads it
    const auto* const handle = slot.handle ? &*slot.handle : nullptr;
    // V4L2 waits for no fence of a dma-buf: a GPU that was told to read may not have begun yet.
    auto pending = slot.buffer->fence(Access::write);
    if (!pending) return; // some are not done and this kernel cannot say when: next() looks again
    slot.fence = *std::move(pending);
    if (slot.fence.fd() >= 0) return;
    if (auto queued = queue.queue(index, handle, format, {}); !queued) {
        failure = std::move(queued).error();
        return;
    }
    slot.writing = *std::move(writing);
}

void Camera::State::queue_free_slots() {
    for (std::uint32_t i = 0; i < slots.size(); ++i)
        try_queue(i);
}

void Camera::State::give_back(std::uint32_t index) noexcept {
    slots[index].reading.release();
    try {
        if (queue.streaming()) try_queue(index);
    } catch (const std::bad_alloc&) {
        return; // next() tries again
    }
}

Result<void> Camera::State::use_buffers(Backing how, std::vector<std::shared_ptr<Buffer>> made) {
    backing = how;
    slots.clear();
    for (auto& buffer : made) {
        Slot slot;
        slot.buffer = buffer;
        if (how == Backing::dmabuf) {
            auto handle = buffer->export_dmabuf();
            if (!handle) return std::move(handle).error();
            slot.handle = *std::move(handle);
        }
        slots.push_back(std::move(slot));
    }
    buffers = std::move(made);
    queue_free_slots();
    if (failure) return *std::exchange(failure, std::nullopt);
    return {};
}

void Camera::State::drop_buffers() noexcept {
    slots.clear();
    buffers.clear();
    queue.free();
}

Result<void> Camera::State::stop() {
    auto stopped = queue.stream(false);
    for (auto& slot : slots)
        slot.writing.release(); // STREAMOFF takes everything from the driver
    last_sequence.reset();
    return stopped;
}

} // namespace share::v4l2
