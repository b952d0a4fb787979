// SPDX-License-Identifier: MIT
#include "wayland/compositor.hpp"

#include "wayland/region.hpp"
#include "wayland/surface.hpp"

namespace compositor::wayland {

const Compositor::Requests Compositor::requests{{.create_surface = request<&Compositor::create_surface>,
                                                 .create_region = request<&Compositor::create_region>}};

Outcome Compositor::create_surface(std::uint32_t id) {
    auto token = context_.quota.take(client(), Quota::Kind::surface);
    if (!token) return Quota::refusal(Quota::Kind::surface);
    Surface* surface = Surface::create(client(), version(), id, context_, std::move(token));
    if (!surface || version() < WL_SURFACE_PREFERRED_BUFFER_SCALE_SINCE_VERSION) return accepted;
    wl_surface_send_preferred_buffer_scale(surface->resource(), 1);
    wl_surface_send_preferred_buffer_transform(surface->resource(), WL_OUTPUT_TRANSFORM_NORMAL);
    return accepted;
}

Outcome Compositor::create_region(std::uint32_t id) {
    auto token = context_.quota.take(client(), Quota::Kind::region);
    if (!token) return Quota::refusal(Quota::Kind::region);
    RegionObject::create(client(), version(), id, std::move(token));
    return accepted;
}

} // namespace compositor::wayland
