// SPDX-License-Identifier: MIT
// Desktop: where windows go. Fullscreen ones cover the output, others are centred and cascaded; what is
// mapped last lies on top and is active. One thread: the compositor's. Units: output pixels.
#pragma once

#include <vector>

#include "scene/scene.hpp"

namespace compositor::scene {

/// A window as the desktop manages it; implemented by whoever speaks for the client.
class DesktopWindow {
public:
    virtual ~DesktopWindow() = default;
    /// It became the active window, or no longer is.
    virtual void set_activated(bool activated) = 0;

    Window window;

private:
    friend class Desktop;
    Rect geometry_;     ///< what the user sees as the window, relative to the root node
    int x_ = 0, y_ = 0; ///< of the geometry on the output, while it floats
};

class Desktop {
public:
    enum class Mode : std::uint8_t { floating, maximized, fullscreen };

    explicit Desktop(Scene& scene) : scene_(scene) {}

    /// Shows the window on top and makes it the active one.
    void map(DesktopWindow& window, const Rect& geometry, Mode mode);
    /// The window's geometry or mode is another now.
    void update(DesktopWindow& window, const Rect& geometry, Mode mode);
    /// From where it floats. Seen after the next update().
    void move(DesktopWindow& window, int dx, int dy) const;
    /// The next one becomes active. Harmless for a window that is not mapped.
    void unmap(DesktopWindow& window);
    DesktopWindow* active() const noexcept { return stack_.empty() ? nullptr : stack_.back(); }

private:
    void choose_place(DesktopWindow& window) const;
    Scene& scene_;
    std::vector<DesktopWindow*> stack_;
};

} // namespace compositor::scene
