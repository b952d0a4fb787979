// SPDX-License-Identifier: MIT
#include <share/wayland_server/resource.hpp>

#include <wayland-server-protocol.h>

namespace share::wayland_server {

Refusal refuse_no_memory(std::string message) {
    return {WL_DISPLAY_ERROR_NO_MEMORY, std::move(message), nullptr, true};
}

void post(wl_resource* asked, const Refusal& refusal) noexcept {
    wl_resource* on = refusal.on ? refusal.on : asked;
    if (refusal.on_display) on = wl_client_get_object(wl_resource_get_client(asked), 1);
    wl_resource_post_error(on, refusal.code, "%s", refusal.message.c_str());
}

ResourceBase::~ResourceBase() {
    if (life_) life_->object = nullptr;
}

void ResourceBase::on_destroy(wl_resource* resource) noexcept {
    const std::unique_ptr<ResourceBase> object(
        static_cast<ResourceBase*>(wl_resource_get_user_data(resource)));
    if (object->life_) object->life_->object = nullptr; // before ~T, so that no Weak sees a half-dead object
}

namespace detail {

const std::shared_ptr<Life>& life_of(ResourceBase& object) {
    if (!object.life_) object.life_ = std::make_shared<Life>(Life{&object});
    return object.life_;
}

void post_no_memory(wl_resource* resource) noexcept {
    wl_resource_post_no_memory(resource);
}

} // namespace detail

} // namespace share::wayland_server
