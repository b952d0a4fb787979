// SPDX-License-Identifier: MIT
#include "wayland/xdg_toplevel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace compositor::wayland {
namespace {

void append(wl_array& array, std::uint32_t value) {
    if (auto* at = static_cast<std::uint32_t*>(wl_array_add(&array, sizeof(value)))) *at = value;
}

} // namespace

const XdgToplevel::Requests XdgToplevel::requests{
    {.destroy = request<&XdgToplevel::destroy>,
     .set_parent = request<&XdgToplevel::set_parent>,
     .set_title = request<&XdgToplevel::set_title>,
     .set_app_id = request<&XdgToplevel::set_app_id>,
     .show_window_menu = request<&XdgToplevel::show_window_menu>,
     .move = request<&XdgToplevel::move>,
     .resize = request<&XdgToplevel::resize>,
     .set_max_size = request<&XdgToplevel::set_max_size>,
     .set_min_size = request<&XdgToplevel::set_min_size>,
     .set_maximized = request<&XdgToplevel::set_maximized>,
     .unset_maximized = request<&XdgToplevel::unset_maximized>,
     .set_fullscreen = request<&XdgToplevel::set_fullscreen>,
     .unset_fullscreen = request<&XdgToplevel::unset_fullscreen>,
     .set_minimized = request<&XdgToplevel::set_minimized>}};

XdgToplevel::XdgToplevel(NewResource resource, XdgSurface& base, Quota::Token token)
    : Resource(resource), context_(base.context()), base_(base), token_(std::move(token)) {}

XdgToplevel::~XdgToplevel() {
    give_away_children();
    activated_ = false;
    Weak<XdgSurface> base = std::exchange(base_, {}); // no configure for a window that is gone
    context_.desktop.unmap(*this);
    if (base) base->role_gone();
}

Outcome XdgToplevel::set_parent(wl_resource* parent_resource) {
    XdgToplevel* parent = from(parent_resource);
    for (const XdgToplevel* t = parent; t; t = t->parent())
        if (t == this)
            return refuse(XDG_TOPLEVEL_ERROR_INVALID_PARENT,
                          "the parent is the window itself or one of its descendants");
    if (parent && !(parent->base_ && parent->base_->is_mapped())) parent = nullptr;
    if (parent_)
        std::erase_if(parent_->children_,
                      [&](const Weak<XdgToplevel>& child) { return !child || child == this; });
    parent_ = parent;
    if (parent) parent->children_.emplace_back(this);
    return accepted;
}

void XdgToplevel::give_away_children() {
    for (auto& child : std::exchange(children_, {})) {
        if (!child) continue;
        child->parent_ = parent_.get();
        if (parent_) parent_->children_.push_back(child);
    }
    if (parent_)
        std::erase_if(parent_->children_,
                      [&](const Weak<XdgToplevel>& child) { return !child || child == this; });
    parent_.reset();
}

Outcome XdgToplevel::resize(wl_resource*, std::uint32_t, std::uint32_t edges) {
    constexpr std::array<std::uint32_t, 9> known{0, 1, 2, 4, 5, 6, 8, 9, 10};
    if (std::find(known.begin(), known.end(), edges) == known.end())
        return refuse(XDG_TOPLEVEL_ERROR_INVALID_RESIZE_EDGE, fmt::format("{} is no resize_edge", edges));
    return accepted;
}

Outcome XdgToplevel::set_max_size(std::int32_t width, std::int32_t height) {
    if (width < 0 || height < 0)
        return refuse(XDG_TOPLEVEL_ERROR_INVALID_SIZE,
                      fmt::format("maximum {} x {} is negative", width, height));
    pending_limits_.max = {width, height};
    return accepted;
}

Outcome XdgToplevel::set_min_size(std::int32_t width, std::int32_t height) {
    if (width < 0 || height < 0)
        return refuse(XDG_TOPLEVEL_ERROR_INVALID_SIZE,
                      fmt::format("minimum {} x {} is negative", width, height));
    pending_limits_.min = {width, height};
    return accepted;
}

void XdgToplevel::want(bool XdgToplevel::* state, bool on) {
    this->*state = on;
    if (base_ && base_->is_initialized()) configure();
}

scene::Desktop::Mode XdgToplevel::wanted_mode() const noexcept {
    if (want_fullscreen_) return Mode::fullscreen;
    return want_maximized_ ? Mode::maximized : Mode::floating;
}

void XdgToplevel::configure() {
    wl_array states;
    wl_array_init(&states);
    const Mode mode = wanted_mode();
    if (want_maximized_) append(states, XDG_TOPLEVEL_STATE_MAXIMIZED);
    if (want_fullscreen_) append(states, XDG_TOPLEVEL_STATE_FULLSCREEN);
    if (activated_) append(states, XDG_TOPLEVEL_STATE_ACTIVATED);
    const scene::Size output{context_.scene.width(), context_.scene.height()};
    const scene::Size size = mode == Mode::floating ? floating_size_ : output;
    xdg_toplevel_send_configure(resource(), size.width, size.height, &states);
    wl_array_release(&states);
    sent_.push_back({base_->send_configure(), mode});
}

Outcome XdgToplevel::initial_commit() {
    if (version() >= XDG_TOPLEVEL_WM_CAPABILITIES_SINCE_VERSION) {
        wl_array capabilities;
        wl_array_init(&capabilities);
        append(capabilities, XDG_TOPLEVEL_WM_CAPABILITIES_MAXIMIZE);
        append(capabilities, XDG_TOPLEVEL_WM_CAPABILITIES_FULLSCREEN);
        xdg_toplevel_send_wm_capabilities(resource(), &capabilities);
        wl_array_release(&capabilities);
    }
    if (version() >= XDG_TOPLEVEL_CONFIGURE_BOUNDS_SINCE_VERSION)
        xdg_toplevel_send_configure_bounds(resource(), context_.scene.width(), context_.scene.height());
    configure();
    return accepted;
}

void XdgToplevel::acked(std::uint32_t serial) {
    while (!sent_.empty()) {
        const Sent sent = sent_.front();
        sent_.pop_front();
        if (sent.serial != serial) continue;
        acked_mode_ = sent.mode;
        return;
    }
}

Outcome XdgToplevel::committing() {
    const auto crossed = [](int min, int max) { return max > 0 && min > max; };
    if (crossed(pending_limits_.min.width, pending_limits_.max.width) ||
        crossed(pending_limits_.min.height, pending_limits_.max.height))
        return refuse_on(resource(), XDG_TOPLEVEL_ERROR_INVALID_SIZE,
                         "the minimum size is above the maximum");
    return accepted;
}

Outcome XdgToplevel::check_maximized() const {
    if (mode_ != Mode::maximized) return accepted;
    const scene::Rect geometry = base_->geometry();
    if (geometry.width == context_.scene.width() && geometry.height == context_.scene.height())
        return accepted;
    wl_resource* on = base_->wm_base() ? base_->wm_base()->resource() : nullptr;
    return refuse_on(on, XDG_WM_BASE_ERROR_INVALID_SURFACE_STATE,
                     fmt::format("geometry {} x {} of a maximized window is not the configured {} x {}",
                                 geometry.width, geometry.height, context_.scene.width(),
                                 context_.scene.height()));
}

Outcome XdgToplevel::mapped() {
    mode_ = acked_mode_;
    if (auto refused = check_maximized()) return refused;
    window.root = &base_->surface()->node();
    const scene::Rect geometry = base_->geometry();
    if (mode_ == Mode::floating) floating_size_ = {geometry.width, geometry.height};
    context_.desktop.map(*this, geometry, mode_);
    if (base_->wm_base()) base_->wm_base()->ping();
    return updated();
}

Outcome XdgToplevel::updated() {
    limits_ = pending_limits_;
    mode_ = acked_mode_;
    if (auto refused = check_maximized()) return refused;
    const scene::Rect geometry = base_->geometry();
    if (mode_ == Mode::floating) floating_size_ = {geometry.width, geometry.height};
    context_.desktop.update(*this, geometry, mode_);
    return accepted;
}

// A window that fills the output stays in its place.
void XdgToplevel::moved(int dx, int dy) {
    if (acked_mode_ == Mode::floating) context_.desktop.move(*this, dx, dy);
}

void XdgToplevel::unmapped() {
    give_away_children();
    activated_ = false;
    sent_.clear();
    want_fullscreen_ = want_maximized_ = false;
    acked_mode_ = mode_ = Mode::floating;
    floating_size_ = {};
    pending_limits_ = limits_ = {};
    title_.clear();
    app_id_.clear();
    Weak<XdgSurface> base = std::exchange(base_, {}); // no configure for a window that is no longer mapped
    context_.desktop.unmap(*this);
    base_ = base;
}

void XdgToplevel::set_activated(bool activated) {
    if (activated_ == activated) return;
    activated_ = activated;
    if (base_ && base_->is_initialized()) configure();
}

} // namespace compositor::wayland
