// SPDX-License-Identifier: MIT
#include "wayland/buffer.hpp"

#include <wayland-server-protocol.h>

#include <share/wayland_server/client_buffer.hpp>

#include "wayland/single_pixel.hpp"

namespace compositor::wayland {
namespace {

using share::wayland_server::ClientBuffer;

std::optional<BufferFacts> facts_of(wl_resource* resource) {
    if (auto* buffer = ClientBuffer::from(resource))
        return BufferFacts{buffer->buffer(),
                           {},
                           buffer->kind() == ClientBuffer::Kind::dmabuf,
                           std::static_pointer_cast<scene::Content>(buffer->imported())};
    if (const auto* pixel = SinglePixelBuffer::from(resource))
        return BufferFacts{nullptr, pixel->color(), false, nullptr};
    return std::nullopt;
}

} // namespace

SurfaceBuffer::SurfaceBuffer(BufferTable& table, wl_resource* resource, BufferFacts facts)
    : table_(table), resource_(resource), facts_(std::move(facts)) {
    listener_.owner = this;
    listener_.listener.notify = &on_destroy;
    wl_resource_add_destroy_listener(resource_, &listener_.listener);
}

SurfaceBuffer::~SurfaceBuffer() {
    if (resource_) wl_list_remove(&listener_.listener.link);
}

void SurfaceBuffer::on_destroy(wl_listener* listener, void*) noexcept {
    auto* self = reinterpret_cast<Listener*>(listener)->owner;
    wl_list_remove(&listener->link);
    // The table's share may be the last one: then this object dies here.
    self->table_.buffers_.erase(std::exchange(self->resource_, nullptr));
}

scene::Size SurfaceBuffer::size() const noexcept {
    if (!facts_.buffer) return {1, 1};
    return {static_cast<int>(facts_.buffer->layout().width()),
            static_cast<int>(facts_.buffer->layout().height())};
}

bool SurfaceBuffer::has_alpha() const noexcept {
    if (!facts_.buffer) return facts_.color.a < 1.0F;
    const share::FormatInfo* format = share::find_format(facts_.buffer->layout().format());
    return !format || format->alpha;
}

share::Result<void> SurfaceBuffer::import(scene::ContentImporter& importer) {
    if (!facts_.buffer || facts_.content) return {};
    auto content = importer.import(facts_.buffer, facts_.dmabuf);
    if (!content) return content.error();
    facts_.content = *content;
    return {};
}

bool SurfaceBuffer::lost(const std::string& why) noexcept {
    auto* buffer = ClientBuffer::from(resource_);
    if (buffer) buffer->lost(why);
    return buffer != nullptr;
}

share::Result<std::shared_ptr<BufferUse>> BufferUse::create(std::shared_ptr<SurfaceBuffer> buffer,
                                                            std::string who) {
    share::Attachment attachment;
    if (buffer->buffer()) {
        auto attached =
            buffer->buffer()->attach(share::Access::read, std::move(who), share::Deadline::none());
        if (!attached) return attached.error();
        attachment = std::move(*attached);
    }
    return std::make_shared<BufferUse>(std::move(buffer), std::move(attachment));
}

BufferUse::BufferUse(std::shared_ptr<SurfaceBuffer> buffer, share::Attachment attachment)
    : buffer_(std::move(buffer)), attachment_(std::move(attachment)) {
    ++buffer_->uses_;
}

void BufferUse::release() noexcept {
    if (std::exchange(released_, true)) return;
    attachment_.release();
    if (--buffer_->uses_ == 0 && buffer_->resource()) wl_buffer_send_release(buffer_->resource());
}

std::shared_ptr<SurfaceBuffer> BufferTable::find(wl_resource* resource) {
    if (const auto known = buffers_.find(resource); known != buffers_.end()) return known->second;
    auto facts = facts_of(resource);
    if (!facts) return nullptr;
    auto buffer = std::make_shared<SurfaceBuffer>(*this, resource, std::move(*facts));
    buffers_.emplace(resource, buffer);
    return buffer;
}

} // namespace compositor::wayland
