// SPDX-License-Identifier: MIT
// xdg_wm_base, version 6. Thread: the display's. Source: xdg-shell.xml.
#pragma once

#include "wayland/context.hpp"

#include <xdg-shell-server.h>

namespace compositor::wayland {

class XdgWmBase : public Resource<XdgWmBase, &xdg_wm_base_interface, struct xdg_wm_base_interface> {
public:
    static const Requests requests;
    XdgWmBase(NewResource resource, Context& context, Quota::Token token)
        : Resource(resource), context_(context), token_(std::move(token)) {}
    ~XdgWmBase() override;

    Context& context() const noexcept { return context_; }
    void surface_made() noexcept { ++surfaces_; }
    void surface_gone() noexcept { --surfaces_; }

    /// Asks the client whether it lives; who has not answered the ping before is marked hung. Nobody waits.
    void ping();
    bool hung() const noexcept { return hung_; }

private:
    Outcome destroy_request();
    Outcome create_positioner(std::uint32_t id);
    Outcome get_xdg_surface(std::uint32_t id, wl_resource* surface);
    void pong(std::uint32_t serial);
    static int timed_out(void* self) noexcept;

    Context& context_;
    Quota::Token token_;
    int surfaces_ = 0;
    std::uint32_t ping_serial_ = 0; ///< 0: no ping is under way
    wl_event_source* timer_ = nullptr;
    bool hung_ = false;
};

} // namespace compositor::wayland
