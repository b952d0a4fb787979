// SPDX-License-Identifier: MIT
// wl_region: a set of surface-local pixels that a client builds. Thread: the display's.
#pragma once

#include "scene/surface_map.hpp"
#include "wayland/quota.hpp"

#include <wayland-server-protocol.h>

namespace compositor::wayland {

class RegionObject : public Resource<RegionObject, &wl_region_interface, struct wl_region_interface> {
public:
    static const Requests requests;
    /// A region of more rectangles costs its client the connection.
    static constexpr std::size_t max_rectangles = 1024;

    RegionObject(NewResource resource, Quota::Token token) : Resource(resource), token_(std::move(token)) {}
    const scene::Region& region() const noexcept { return region_; }

private:
    Outcome add(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height);
    Outcome subtract(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height);
    Outcome check() const;
    Quota::Token token_;
    scene::Region region_;
};

} // namespace compositor::wayland
