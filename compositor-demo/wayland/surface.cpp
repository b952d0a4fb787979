// SPDX-License-Identifier: MIT
// wl_surface: from a commit to the scene. Requests of the pending state: surface_state.cpp.
#include "wayland/surface.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "wayland/subsurface.hpp"
#include "wayland/viewport.hpp"

namespace compositor::wayland {
namespace {

scene::SurfaceMap with(scene::SurfaceMap map, const SurfaceState& state, const SurfaceBuffer* buffer) {
    if (state.attached) map.buffer = buffer ? buffer->size() : scene::Size{};
    if (state.scale) map.scale = *state.scale;
    if (state.transform) map.transform = *state.transform;
    if (state.source) map.source = *state.source;
    if (state.destination) map.destination = *state.destination;
    return map;
}

// A hidden surface gets no callbacks. A client that draws by its own clock all the same, and asks for one
// each time, must not run into its quota.
constexpr std::size_t max_waiting_callbacks = 256;

std::uint32_t now_ms() {
    std::timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1'000'000);
}

} // namespace

const Surface::Requests Surface::requests{{.destroy = request<&Surface::destroy_request>,
                                           .attach = request<&Surface::attach>,
                                           .damage = request<&Surface::damage>,
                                           .frame = request<&Surface::frame>,
                                           .set_opaque_region = request<&Surface::set_opaque_region>,
                                           .set_input_region = request<&Surface::set_input_region>,
                                           .commit = request<&Surface::commit>,
                                           .set_buffer_transform = request<&Surface::set_buffer_transform>,
                                           .set_buffer_scale = request<&Surface::set_buffer_scale>,
                                           .damage_buffer = request<&Surface::damage_buffer>,
                                           .offset = request<&Surface::offset>}};

Surface::Surface(NewResource resource, Context& context, Quota::Token token)
    : Resource(resource), context_(context), token_(std::move(token)), order_{nullptr} {
    context_.surfaces.emplace(node_.id(), this);
}

Surface::~Surface() {
    for (Subsurface* child : children_)
        child->parent_gone();
    context_.surfaces.erase(node_.id());
    context_.scene.changed();
}

Outcome Surface::destroy_request() {
    if (role_ && role_is_object_)
        return refuse(WL_SURFACE_ERROR_DEFUNCT_ROLE_OBJECT,
                      "the surface's role object must be destroyed first");
    destroy();
    return accepted;
}

void Surface::set_role(SurfaceRole* role, bool is_object) noexcept {
    role_ = role;
    role_is_object_ = is_object;
}

Outcome Surface::check_geometry(const scene::SurfaceMap& map, bool has_buffer) const {
    wl_resource* on_viewport = viewport ? viewport->resource() : nullptr;
    if (map.source && !map.destination &&
        (map.source->width != std::floor(map.source->width) ||
         map.source->height != std::floor(map.source->height)))
        return refuse_on(on_viewport, WP_VIEWPORT_ERROR_BAD_SIZE,
                         "without a destination the source's size must be whole numbers");
    if (!has_buffer) return accepted;
    if (map.buffer.width % map.scale != 0 || map.buffer.height % map.scale != 0)
        return refuse(WL_SURFACE_ERROR_INVALID_SIZE,
                      fmt::format("a buffer of {}x{} is not a multiple of the scale {}", map.buffer.width,
                                  map.buffer.height, map.scale));
    const scene::RectF all = map.unscaled();
    if (map.source &&
        (map.source->x + map.source->width > all.width || map.source->y + map.source->height > all.height))
        return refuse_on(on_viewport, WP_VIEWPORT_ERROR_OUT_OF_BUFFER,
                         fmt::format("the source reaches beyond the buffer's {}x{}", all.width, all.height));
    return accepted;
}

Outcome Surface::take_use(SurfaceState& state) {
    if (!state.buffer) return accepted;
    const auto imported = state.buffer->import(context_.importer);
    if (!imported) {
        if (imported.error().code != share::Code::corrupt) return refuse_no_memory(imported.error().text());
        state.buffer->lost(imported.error().text());
        return accepted;
    }
    auto use = BufferUse::create(std::move(state.buffer), fmt::format("wl_surface {}", id()));
    if (!use) return refuse_no_memory(use.error().text());
    state.use = std::move(*use);
    return accepted;
}

Outcome Surface::commit() {
    SurfaceState state = std::exchange(pending_, SurfaceState{});
    const bool has_buffer = state.attached ? state.buffer != nullptr : committed_buffer_;
    if (role_)
        if (auto refused = role_->committing(has_buffer)) return refused;
    const scene::SurfaceMap map = with(committed_map_, state, state.buffer.get());
    if (auto refused = check_geometry(map, has_buffer)) return refused;
    if (auto refused = take_use(state)) return refused;
    committed_map_ = map;
    committed_buffer_ = has_buffer;

    if (subsurface_ && subsurface_->effectively_sync()) {
        if (cached_)
            cached_->merge(std::move(state));
        else
            cached_ = std::move(state);
        return accepted;
    }
    if (auto cached = take_cached(std::nullopt)) {
        cached->merge(std::move(state));
        state = std::move(*cached);
    }
    return schedule(std::move(state));
}

Outcome Surface::apply(SurfaceState&& state, std::optional<std::uint64_t> commit) {
    keep_geometry(state);
    map_ = with(map_, state, state.use ? &state.use->buffer() : nullptr);
    if (state.opaque) opaque_ = std::move(*state.opaque);
    if (state.input) input_ = std::move(*state.input);
    callbacks_.append(std::move(state.callbacks));
    callbacks_.done_oldest(max_waiting_callbacks, now_ms());
    feedbacks_.discard();
    feedbacks_.append(std::move(state.feedbacks));
    if (state.attached && !state.use) feedbacks_.discard();
    if (auto refused = apply_content(state)) return refused;
    apply_picture();
    if (auto refused = apply_children(commit)) return refused;
    if (role_ && (state.offset_x != 0 || state.offset_y != 0)) role_->moved(state.offset_x, state.offset_y);
    if (role_)
        if (auto refused = role_->applied()) return refused;
    context_.scene.changed();
    return accepted;
}

Outcome Surface::apply_content(SurfaceState& state) {
    scene::Region in_buffer = map_.to_buffer(state.surface_damage);
    state.buffer_damage.intersect(scene::Rect{0, 0, map_.buffer.width, map_.buffer.height});
    in_buffer.add(state.buffer_damage);
    scene::Region in_surface = map_.to_surface(state.buffer_damage);
    scene::Region direct = state.surface_damage;
    direct.intersect(scene::Rect{0, 0, map_.size().width, map_.size().height});
    in_surface.add(direct);
    node_.add_damage(in_surface);
    if (!state.attached) return accepted;

    current_use_ = std::move(state.use);
    if (!current_use_) return accepted;
    updated_ = true;
    const auto& content = current_use_->buffer().content();
    if (!content) return accepted;
    steps_.assign(1, content->import_step());
    const auto refreshed = context_.importer.refresh(*content, in_buffer);
    if (!refreshed) {
        tell_lost(refreshed.error().text());
        return accepted;
    }
    if (content->has_copy()) current_use_->release(); // nothing new in it
    return accepted;
}

void Surface::apply_picture() {
    if (!current_use_) {
        node_.set_picture(std::nullopt);
        return;
    }
    const SurfaceBuffer& buffer = current_use_->buffer();
    scene::Picture picture;
    picture.content = buffer.content();
    picture.color = buffer.color();
    picture.map = map_;
    picture.blend = buffer.has_alpha();
    const scene::Size size = map_.size();
    picture.opaque = picture.blend ? opaque_ : scene::Region({0, 0, size.width, size.height});
    picture.hold = current_use_;
    picture.given_back = current_use_->released();
    node_.set_picture(std::move(picture));
}

Outcome Surface::apply_children(std::optional<std::uint64_t> commit) {
    if (std::exchange(order_changed_, false)) {
        std::vector<scene::Node*> below, above;
        auto* list = &below;
        for (Subsurface* child : order_) {
            if (!child)
                list = &above;
            else if (child->surface())
                list->push_back(&child->surface()->node());
        }
        node_.set_children(std::move(below), std::move(above));
    }
    // A child's role may not act on this list, but its refusal ends all.
    for (Subsurface* child : children_)
        if (auto refused = child->parent_applied(commit)) return refused;
    return accepted;
}

void Surface::add_child(Subsurface& child) {
    children_.push_back(&child);
    order_.push_back(&child);
    order_changed_ = true;
}

void Surface::remove_child(Subsurface& child) {
    std::erase(children_, &child);
    std::erase(order_, &child);
    context_.scene.changed();
}

bool Surface::restack_child(Subsurface& child, const Surface& reference, bool above) {
    if (&reference == child.surface()) return false;
    const auto is_reference = [&](const Subsurface* entry) {
        return entry ? entry->surface() == &reference : &reference == this;
    };
    if (std::find_if(order_.begin(), order_.end(), is_reference) == order_.end()) return false;
    std::erase(order_, &child);
    const auto at = std::find_if(order_.begin(), order_.end(), is_reference);
    order_.insert(above ? at + 1 : at, &child);
    order_changed_ = true;
    return true;
}

void Surface::unmap() {
    drop_waiting();
    current_use_.reset();
    committed_buffer_ = false;
    feedbacks_.discard();
    apply_picture();
    context_.scene.changed();
}

int Surface::tree_height() const {
    int height = 0;
    for (const Subsurface* child : children_)
        if (child->surface()) height = std::max(height, 1 + child->surface()->tree_height());
    return height;
}

Surface::FrameWork Surface::take_frame_work() {
    FrameWork work{std::move(callbacks_), std::move(feedbacks_), std::move(steps_),
                   std::exchange(updated_, false)};
    steps_.clear();
    return work;
}

void Surface::check_lost(const scene::Content& content, const std::string& why) {
    if (current_use_ && current_use_->buffer().content().get() == &content) tell_lost(why);
}

void Surface::tell_lost(const std::string& why) {
    // The protocol's own error is posted on the wl_buffer; without one the client is refused all the same.
    if (!current_use_->buffer().lost(why)) wl_client_post_implementation_error(client(), "%s", why.c_str());
}

void Surface::give_back_copied() {
    if (!current_use_ || current_use_->released()) return;
    const auto& content = current_use_->buffer().content();
    if (!content || !content->has_copy()) return;
    current_use_->release();
    apply_picture();
}

void Surface::output_bound(wl_resource* output) {
    if (on_output_) wl_surface_send_enter(resource(), output);
}

void Surface::update_output() {
    int x = node_.x(), y = node_.y();
    bool shown = node_.picture().has_value();
    const scene::Node* root = &node_;
    while (root->parent()) {
        root = root->parent();
        shown = shown && root->picture().has_value();
        x += root->x();
        y += root->y();
    }
    const scene::Window* window = nullptr;
    for (const scene::Window* w : context_.scene.windows())
        if (w->root == root) window = w;
    if (window && shown) {
        scene::Region on(scene::Rect{x + window->x, y + window->y, map_.size().width, map_.size().height});
        on.intersect(scene::Rect{0, 0, context_.scene.width(), context_.scene.height()});
        shown = !on.empty();
    }
    shown = shown && window;
    if (shown == on_output_) return;
    on_output_ = shown;
    context_.output.for_each_resource_of(client(), [&](wl_resource* output) {
        if (shown)
            wl_surface_send_enter(resource(), output);
        else
            wl_surface_send_leave(resource(), output);
    });
}

} // namespace compositor::wayland
