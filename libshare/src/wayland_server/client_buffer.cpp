// SPDX-License-Identifier: MIT
#include <share/wayland_server/client_buffer.hpp>

namespace share::wayland_server {

const ClientBuffer::Requests ClientBuffer::requests{{.destroy = request<&ClientBuffer::destroy>}};

ClientBuffer::ClientBuffer(NewResource resource, Facts facts)
    : Resource(resource), facts_(std::move(facts)) {}
ClientBuffer::~ClientBuffer() = default;

void ClientBuffer::lost(const std::string& why) noexcept {
    // libwayland's own wl_shm posts it on the wl_buffer too, with wl_shm's enum.
    if (facts_.kind == Kind::shm)
        wl_resource_post_error(resource(), WL_SHM_ERROR_INVALID_FD, "%s", why.c_str());
}

} // namespace share::wayland_server
