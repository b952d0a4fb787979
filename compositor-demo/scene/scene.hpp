// SPDX-License-Identifier: MIT
// Scene: everything on one output, and what of it changed since the frame before.
//
// Windows are trees of nodes in a stack, over a plain background. build() flattens them, finds what is
// visible, and compares with the frame before: damage is never announced by hand, so nothing can be
// forgotten. One thread: the compositor's. Units: output pixels.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "scene/frame.hpp"
#include "scene/node.hpp"

namespace compositor::scene {

/// A tree of nodes on the output. Borrowed by the scene: remove it before it dies.
struct Window {
    Node* root = nullptr;
    int x = 0, y = 0;        ///< of the root node
    bool fullscreen = false; ///< everything below it is hidden behind black
};

/// Who wants to know that a new frame should be made.
class Observer {
public:
    virtual ~Observer() = default;
    virtual void scene_changed() = 0;
};

/// A Frame and whose items they are.
struct Built {
    Frame frame;
    std::vector<std::uint64_t> item_nodes; ///< id of the node of each item; 0 for background and borders
    std::vector<std::uint64_t> visible;    ///< ids of nodes of which a pixel is visible
    std::shared_ptr<void> direct_hold;     ///< of the picture behind frame.direct
    bool is_visible(std::uint64_t node) const;
};

class Scene {
public:
    Scene(int width, int height, Color background, Observer& observer);

    int width() const noexcept { return width_; }
    int height() const noexcept { return height_; }

    /// On top of all. A window that is already there is raised.
    void add(Window& window);
    void remove(Window& window);
    /// Behind all that `window` must stay above; used for parents of dialogs.
    const std::vector<Window*>& windows() const noexcept { return windows_; }
    /// Something changed: tells the observer.
    void changed() { observer_.scene_changed(); }

    /// The frame to show now. Takes the nodes' damage: what is built must be shown.
    Built build();
    /// The next frame is damaged as a whole (the output lost its picture).
    void damage_all() { all_damaged_ = true; }
    /// These output pixels are drawn in the next frame, whatever else is.
    void damage(const Region& pixels) { extra_damage_.add(pixels); }

private:
    struct Entry {
        std::uint64_t node = 0;
        Rect dest;
        Item item; ///< without its clip
        SurfaceMap map;
        Region opaque; ///< output pixels
        Region visible;
        Region new_pixels; ///< damage of the content, output pixels
        std::shared_ptr<void> hold;
        bool given_back = false;
    };
    using Entries = std::vector<Entry>;

    Entries flatten();
    void flatten(Node& node, int x, int y, int depth, Entries& into);
    Entry fill(std::uint64_t id, Color color) const;
    void find_visible(Entries& entries) const;
    Region find_damage(const Entries& now) const;
    void find_direct(const Entries& now, Built& built) const;

    int width_, height_;
    Color background_;
    Observer& observer_;
    std::vector<Window*> windows_;
    Entries last_;
    bool all_damaged_ = true;
    Region extra_damage_;
};

} // namespace compositor::scene
