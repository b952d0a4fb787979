// SPDX-License-Identifier: MIT
// wl_seat, version 9: a seat without a device. Thread: the display's.
#pragma once

#include "wayland/context.hpp"

#include <wayland-server-protocol.h>

namespace compositor::wayland {

class Seat : public Resource<Seat, &wl_seat_interface, struct wl_seat_interface> {
public:
    static const Requests requests;
    Seat(NewResource resource, Context& context, Quota::Token token);

private:
    Outcome get_pointer(std::uint32_t id);
    Outcome get_keyboard(std::uint32_t id);
    Outcome get_touch(std::uint32_t id);
    Quota::Token token_;
};

} // namespace compositor::wayland
