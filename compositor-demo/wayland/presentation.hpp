// SPDX-License-Identifier: MIT
// wp_presentation, version 2, on CLOCK_MONOTONIC. Feedback objects: callback.hpp. Thread: the display's.
#pragma once

#include "wayland/context.hpp"

#include <presentation-time-server.h>

namespace compositor::wayland {

class Presentation
    : public Resource<Presentation, &wp_presentation_interface, struct wp_presentation_interface> {
public:
    static const Requests requests;
    Presentation(NewResource resource, Context& context, Quota::Token token);

private:
    Outcome feedback(wl_resource* surface, std::uint32_t id);
    Context& context_;
    Quota::Token token_;
};

} // namespace compositor::wayland
