// SPDX-License-Identifier: MIT
// wp_viewporter and wp_viewport, version 1: crop and scale of a surface. Thread: the display's.
// Source: viewporter.xml. What depends on the buffer is checked at the commit (surface.cpp).
#pragma once

#include "wayland/surface.hpp"

#include <viewporter-server.h>

namespace compositor::wayland {

class Viewport : public Resource<Viewport, &wp_viewport_interface, struct wp_viewport_interface> {
public:
    static const Requests requests;
    Viewport(NewResource resource, Surface& surface, Quota::Token token);
    ~Viewport() override;

private:
    Outcome set_source(wl_fixed_t x, wl_fixed_t y, wl_fixed_t width, wl_fixed_t height);
    Outcome set_destination(std::int32_t width, std::int32_t height);
    Weak<Surface> surface_;
    Quota::Token token_;
};

class Viewporter : public Resource<Viewporter, &wp_viewporter_interface, struct wp_viewporter_interface> {
public:
    static const Requests requests;
    Viewporter(NewResource resource, Context& context, Quota::Token token)
        : Resource(resource), context_(context), token_(std::move(token)) {}

private:
    Outcome get_viewport(std::uint32_t id, wl_resource* surface);
    Context& context_;
    Quota::Token token_;
};

} // namespace compositor::wayland
