// SPDX-License-Identifier: MIT
// wl_compositor, version 6: makes surfaces and regions. Thread: the display's.
#pragma once

#include "wayland/context.hpp"

#include <wayland-server-protocol.h>

namespace compositor::wayland {

class Compositor : public Resource<Compositor, &wl_compositor_interface, struct wl_compositor_interface> {
public:
    static const Requests requests;
    Compositor(NewResource resource, Context& context, Quota::Token token)
        : Resource(resource), context_(context), token_(std::move(token)) {}

private:
    Outcome create_surface(std::uint32_t id);
    Outcome create_region(std::uint32_t id);
    Context& context_;
    Quota::Token token_;
};

} // namespace compositor::wayland
