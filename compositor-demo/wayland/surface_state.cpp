// SPDX-License-Identifier: MIT
// wl_surface: what requests put into the pending state.
#include <fmt/format.h>

#include "wayland/region.hpp"
#include "wayland/surface.hpp"

namespace compositor::wayland {
namespace {

constexpr std::size_t max_damage_boxes = 256;
// Culling by a region of more boxes costs more than it saves.
constexpr std::size_t max_opaque_boxes = 128;

void add_bounded(scene::Region& damage, const scene::Rect& rect) {
    damage.add(scene::clamped(rect));
    if (damage.boxes().size() > max_damage_boxes) damage = scene::Region(damage.extents());
}

template<class T>
void take(std::optional<T>& into, std::optional<T>& from) {
    if (from) into = std::move(from);
}

} // namespace

void SurfaceState::merge(SurfaceState&& later) {
    if (later.attached) {
        attached = true;
        buffer = std::move(later.buffer);
        use = std::move(later.use);
    }
    offset_x = scene::clamped(offset_x + later.offset_x);
    offset_y = scene::clamped(offset_y + later.offset_y);
    surface_damage.add(later.surface_damage);
    buffer_damage.add(later.buffer_damage);
    for (auto* damage : {&surface_damage, &buffer_damage})
        if (damage->boxes().size() > max_damage_boxes) *damage = scene::Region(damage->extents());
    take(opaque, later.opaque);
    take(input, later.input);
    take(scale, later.scale);
    take(transform, later.transform);
    take(source, later.source);
    take(destination, later.destination);
    callbacks.append(std::move(later.callbacks));
    feedbacks.discard(); // the content that they asked about is never shown
    feedbacks.append(std::move(later.feedbacks));
}

SurfaceState SurfaceState::take_geometry_without_content() {
    attached = false;
    use.reset();
    buffer.reset();
    surface_damage = buffer_damage = {};
    feedbacks.discard();
    SurfaceState geometry;
    geometry.offset_x = std::exchange(offset_x, 0);
    geometry.offset_y = std::exchange(offset_y, 0);
    take(geometry.opaque, opaque);
    take(geometry.input, input);
    take(geometry.scale, scale);
    take(geometry.transform, transform);
    take(geometry.source, source);
    take(geometry.destination, destination);
    opaque.reset();
    input.reset();
    scale.reset();
    transform.reset();
    source.reset();
    destination.reset();
    return geometry;
}

Outcome Surface::attach(wl_resource* buffer, std::int32_t x, std::int32_t y) {
    if (version() >= WL_SURFACE_OFFSET_SINCE_VERSION && (x != 0 || y != 0))
        return refuse(WL_SURFACE_ERROR_INVALID_OFFSET,
                      fmt::format("attach with offset {}, {}: from version 5 on it must be 0, 0", x, y));
    if (version() < WL_SURFACE_OFFSET_SINCE_VERSION) offset(x, y);
    pending_.attached = true;
    pending_.buffer = nullptr;
    if (!buffer) return accepted;
    pending_.buffer = context_.buffers.find(buffer);
    if (!pending_.buffer)
        return share::wayland_server::Refusal{WL_DISPLAY_ERROR_INVALID_OBJECT,
                                              "a wl_buffer of an unknown kind", nullptr, true};
    return accepted;
}

void Surface::offset(std::int32_t x, std::int32_t y) {
    pending_.offset_x = scene::clamped(x);
    pending_.offset_y = scene::clamped(y);
}

void Surface::damage(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height) {
    add_bounded(pending_.surface_damage, {x, y, width, height});
}

void Surface::damage_buffer(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height) {
    add_bounded(pending_.buffer_damage, {x, y, width, height});
}

Outcome Surface::frame(std::uint32_t id) {
    auto token = context_.quota.take(client(), Quota::Kind::callback);
    if (!token) return Quota::refusal(Quota::Kind::callback);
    pending_.callbacks.add(Callback::create(client(), 1, id, std::move(token)));
    return accepted;
}

void Surface::set_opaque_region(wl_resource* region) {
    const RegionObject* object = RegionObject::from(region);
    const bool usable = object && object->region().boxes().size() <= max_opaque_boxes;
    pending_.opaque = usable ? object->region() : scene::Region{};
}

void Surface::set_input_region(wl_resource* region) {
    const RegionObject* object = RegionObject::from(region);
    constexpr int far = scene::max_coordinate;
    pending_.input = object ? object->region() : scene::Region({-far, -far, 2 * far, 2 * far});
}

Outcome Surface::set_buffer_transform(std::int32_t transform) {
    if (transform < WL_OUTPUT_TRANSFORM_NORMAL || transform > WL_OUTPUT_TRANSFORM_FLIPPED_270)
        return refuse(WL_SURFACE_ERROR_INVALID_TRANSFORM,
                      fmt::format("{} is no wl_output.transform", transform));
    pending_.transform = static_cast<scene::Transform>(transform);
    return accepted;
}

Outcome Surface::set_buffer_scale(std::int32_t scale) {
    if (scale <= 0)
        return refuse(WL_SURFACE_ERROR_INVALID_SCALE, fmt::format("scale {} is not positive", scale));
    pending_.scale = scale;
    return accepted;
}

} // namespace compositor::wayland
