// SPDX-License-Identifier: MIT
#include "scene/desktop.hpp"

#include <algorithm>

namespace compositor::scene {
namespace {
constexpr int cascade_step = 32;
}

void Desktop::choose_place(DesktopWindow& window) const {
    // A window that fills the output belongs into its corner, and so does one that is too large to centre.
    const int free_x = std::max(0, scene_.width() - window.geometry_.width);
    const int free_y = std::max(0, scene_.height() - window.geometry_.height);
    window.x_ = free_x / 2;
    window.y_ = free_y / 2;
    const auto taken = [&] {
        return std::any_of(stack_.begin(), stack_.end(), [&](const DesktopWindow* other) {
            return other != &window && other->x_ == window.x_ && other->y_ == window.y_;
        });
    };
    while (taken() && window.x_ + cascade_step <= free_x && window.y_ + cascade_step <= free_y) {
        window.x_ += cascade_step;
        window.y_ += cascade_step;
    }
}

void Desktop::map(DesktopWindow& window, const Rect& geometry, Mode mode) {
    DesktopWindow* before = active();
    window.geometry_ = geometry;
    choose_place(window);
    std::erase(stack_, &window);
    stack_.push_back(&window);
    update(window, geometry, mode);
    scene_.add(window.window);
    if (before == &window) return;
    if (before) before->set_activated(false);
    window.set_activated(true);
}

void Desktop::update(DesktopWindow& window, const Rect& geometry, Mode mode) {
    window.geometry_ = geometry;
    int x = window.x_, y = window.y_;
    if (mode == Mode::maximized) x = y = 0;
    if (mode == Mode::fullscreen) {
        x = (scene_.width() - geometry.width) / 2;
        y = (scene_.height() - geometry.height) / 2;
    }
    if (mode == Mode::floating && geometry.width == scene_.width() && geometry.height == scene_.height())
        x = y = 0;
    const int root_x = clamped(x - geometry.x), root_y = clamped(y - geometry.y);
    const bool fullscreen = mode == Mode::fullscreen;
    if (root_x == window.window.x && root_y == window.window.y && fullscreen == window.window.fullscreen)
        return;
    window.window.x = root_x;
    window.window.y = root_y;
    window.window.fullscreen = fullscreen;
    scene_.changed();
}

void Desktop::move(DesktopWindow& window, int dx, int dy) const {
    window.x_ = clamped(window.x_ + dx);
    window.y_ = clamped(window.y_ + dy);
}

void Desktop::unmap(DesktopWindow& window) {
    const bool was_active = active() == &window;
    if (std::erase(stack_, &window) == 0) return;
    scene_.remove(window.window);
    if (!was_active) return;
    window.set_activated(false);
    if (active()) active()->set_activated(true);
}

} // namespace compositor::scene
