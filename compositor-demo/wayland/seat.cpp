// SPDX-License-Identifier: MIT
#include "wayland/seat.hpp"

namespace compositor::wayland {

const Seat::Requests Seat::requests{{.get_pointer = request<&Seat::get_pointer>,
                                     .get_keyboard = request<&Seat::get_keyboard>,
                                     .get_touch = request<&Seat::get_touch>,
                                     .release = request<&Seat::destroy>}};

Seat::Seat(NewResource new_resource, Context&, Quota::Token token)
    : Resource(new_resource), token_(std::move(token)) {
    wl_seat_send_capabilities(resource(), 0);
    if (version() >= WL_SEAT_NAME_SINCE_VERSION) wl_seat_send_name(resource(), "seat0");
}

Outcome Seat::get_pointer(std::uint32_t) {
    return refuse(WL_SEAT_ERROR_MISSING_CAPABILITY, "this seat never had a pointer");
}
Outcome Seat::get_keyboard(std::uint32_t) {
    return refuse(WL_SEAT_ERROR_MISSING_CAPABILITY, "this seat never had a keyboard");
}
Outcome Seat::get_touch(std::uint32_t) {
    return refuse(WL_SEAT_ERROR_MISSING_CAPABILITY, "this seat never had a touch screen");
}

} // namespace compositor::wayland
