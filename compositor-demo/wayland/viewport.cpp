// SPDX-License-Identifier: MIT
#include "wayland/viewport.hpp"

#include <fmt/format.h>

namespace compositor::wayland {

const Viewport::Requests Viewport::requests{{.destroy = request<&Viewport::destroy>,
                                             .set_source = request<&Viewport::set_source>,
                                             .set_destination = request<&Viewport::set_destination>}};
const Viewporter::Requests Viewporter::requests{
    {.destroy = request<&Viewporter::destroy>, .get_viewport = request<&Viewporter::get_viewport>}};

Viewport::Viewport(NewResource resource, Surface& surface, Quota::Token token)
    : Resource(resource), surface_(surface), token_(std::move(token)) {
    surface.viewport = this;
}

Viewport::~Viewport() {
    if (!surface_) return;
    surface_->viewport.reset();
    surface_->pending().source.emplace(std::nullopt);
    surface_->pending().destination.emplace(std::nullopt);
}

Outcome Viewport::set_source(wl_fixed_t x, wl_fixed_t y, wl_fixed_t width, wl_fixed_t height) {
    if (!surface_) return refuse(WP_VIEWPORT_ERROR_NO_SURFACE, "the surface was destroyed");
    const wl_fixed_t unset = wl_fixed_from_int(-1);
    auto& source = surface_->pending().source;
    if (x == unset && y == unset && width == unset && height == unset) {
        source.emplace(std::nullopt);
        return accepted;
    }
    if (x < 0 || y < 0 || width <= 0 || height <= 0)
        return refuse(WP_VIEWPORT_ERROR_BAD_VALUE,
                      fmt::format("source {}, {}, {} x {} is negative or empty", wl_fixed_to_double(x),
                                  wl_fixed_to_double(y), wl_fixed_to_double(width),
                                  wl_fixed_to_double(height)));
    source.emplace(scene::RectF{wl_fixed_to_double(x), wl_fixed_to_double(y), wl_fixed_to_double(width),
                                wl_fixed_to_double(height)});
    return accepted;
}

Outcome Viewport::set_destination(std::int32_t width, std::int32_t height) {
    if (!surface_) return refuse(WP_VIEWPORT_ERROR_NO_SURFACE, "the surface was destroyed");
    auto& destination = surface_->pending().destination;
    if (width == -1 && height == -1) {
        destination.emplace(std::nullopt);
        return accepted;
    }
    if (width <= 0 || height <= 0)
        return refuse(WP_VIEWPORT_ERROR_BAD_VALUE,
                      fmt::format("destination {} x {} is not positive", width, height));
    destination.emplace(scene::Size{width, height});
    return accepted;
}

Outcome Viewporter::get_viewport(std::uint32_t id, wl_resource* surface_resource) {
    Surface* surface = Surface::from(surface_resource);
    if (surface->viewport)
        return refuse(WP_VIEWPORTER_ERROR_VIEWPORT_EXISTS,
                      fmt::format("wl_surface {} has a viewport", surface->id()));
    auto token = context_.quota.take(client(), Quota::Kind::object);
    if (!token) return Quota::refusal(Quota::Kind::object);
    Viewport::create(client(), version(), id, *surface, std::move(token));
    return accepted;
}

} // namespace compositor::wayland
