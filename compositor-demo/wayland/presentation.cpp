// SPDX-License-Identifier: MIT
#include "wayland/presentation.hpp"

#include <ctime>

#include "wayland/surface.hpp"

namespace compositor::wayland {

const Presentation::Requests Presentation::requests{
    {.destroy = request<&Presentation::destroy>, .feedback = request<&Presentation::feedback>}};

Presentation::Presentation(NewResource new_resource, Context& context, Quota::Token token)
    : Resource(new_resource), context_(context), token_(std::move(token)) {
    wp_presentation_send_clock_id(resource(), CLOCK_MONOTONIC);
}

Outcome Presentation::feedback(wl_resource* surface_resource, std::uint32_t id) {
    Surface* surface = Surface::from(surface_resource);
    auto token = context_.quota.take(client(), Quota::Kind::callback);
    if (!token) return Quota::refusal(Quota::Kind::callback);
    surface->pending().feedbacks.add(Feedback::create(client(), version(), id, std::move(token)));
    return accepted;
}

} // namespace compositor::wayland
