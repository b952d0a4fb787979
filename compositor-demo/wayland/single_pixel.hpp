// SPDX-License-Identifier: MIT
// wp_single_pixel_buffer_manager_v1: wl_buffers of one colour. Thread: the display's.
#pragma once

#include "scene/frame.hpp"
#include "wayland/context.hpp"

#include <single-pixel-buffer-v1-server.h>
#include <wayland-server-protocol.h>

namespace compositor::wayland {

class SinglePixelBuffer
    : public Resource<SinglePixelBuffer, &wl_buffer_interface, struct wl_buffer_interface> {
public:
    static const Requests requests;
    SinglePixelBuffer(NewResource resource, scene::Color color, Quota::Token token)
        : Resource(resource), color_(color), token_(std::move(token)) {}
    const scene::Color& color() const noexcept { return color_; }

private:
    scene::Color color_;
    Quota::Token token_;
};

class SinglePixelManager : public Resource<SinglePixelManager, &wp_single_pixel_buffer_manager_v1_interface,
                                           struct wp_single_pixel_buffer_manager_v1_interface> {
public:
    static const Requests requests;
    SinglePixelManager(NewResource resource, Context& context, Quota::Token token)
        : Resource(resource), context_(context), token_(std::move(token)) {}

private:
    Outcome create_u32_rgba_buffer(std::uint32_t id, std::uint32_t r, std::uint32_t g, std::uint32_t b,
                                   std::uint32_t a);
    Context& context_;
    Quota::Token token_;
};

} // namespace compositor::wayland
