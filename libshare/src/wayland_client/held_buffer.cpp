// SPDX-License-Identifier: MIT
#include "held_buffer.hpp"

#include <algorithm>

namespace share::wayland_client {

const wl_buffer_listener HeldBuffer::listener = {
    .release = [](void* self, wl_buffer*) noexcept { static_cast<HeldBuffer*>(self)->release(); },
};

HeldBuffer::HeldBuffer(Proxy<wl_buffer> object, std::shared_ptr<Buffer> buffer, DmabufHandle dmabuf)
    : buffer_(std::move(buffer)), dmabuf_(std::move(dmabuf)), object_(std::move(object)) {
    wl_buffer_add_listener(object_.get(), &listener, this);
}

void HeldBuffer::release() noexcept {
    attachment_.release();
    if (lingering_) lingering_->drop(this); // destroys this
}

void Lingering::keep(std::unique_ptr<HeldBuffer> buffer) {
    buffer->lingering_ = this;
    buffers_.push_back(std::move(buffer));
}

void Lingering::drop(const HeldBuffer* buffer) noexcept {
    std::erase_if(buffers_, [buffer](const auto& kept) { return kept.get() == buffer; });
}

} // namespace share::wayland_client
