// SPDX-License-Identifier: MIT
// Node: one surface in the scene's tree: its picture, its place relative to its parent, and the nodes that
// lie below and above it. Owned by whoever owns the surface; nodes only borrow each other and unlink
// themselves when they die, in any order. One thread: the compositor's. Units: surface-local, which are
// output pixels (the output's scale is 1).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "scene/surface_map.hpp"

namespace compositor::scene {

/// What a node shows.
struct Picture {
    std::shared_ptr<Content> content; ///< null: `color`
    Color color;
    SurfaceMap map;
    Region opaque;              ///< surface-local: what hides all below; all of it for formats without alpha
    bool blend = true;          ///< the content's alpha counts
    std::shared_ptr<void> hold; ///< kept while an output reads the content itself: its end is the release
    /// The client may write its buffer again (the content has a copy): no output may read the buffer itself.
    bool given_back = false;
    Size size() const { return map.size(); }
};

class Node {
public:
    Node();
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Never used again: tells a new node at an old address apart.
    std::uint64_t id() const noexcept { return id_; }

    /// Nothing: the node and all below it in the tree are not shown.
    void set_picture(std::optional<Picture> picture);
    const std::optional<Picture>& picture() const noexcept { return picture_; }
    /// Pixels of the picture that are new. Surface-local; summed up until the scene takes them.
    void add_damage(const Region& damage);
    Region take_damage();

    void set_position(int x, int y) noexcept;
    int x() const noexcept { return x_; }
    int y() const noexcept { return y_; }

    /// The nodes drawn before and after this one, each list from back to front. Takes them from their
    /// parents of now.
    void set_children(std::vector<Node*> below, std::vector<Node*> above);
    void detach();
    Node* parent() const noexcept { return parent_; }
    const std::vector<Node*>& below() const noexcept { return below_; }
    const std::vector<Node*>& above() const noexcept { return above_; }

    /// The rectangle around this node and all shown nodes of its tree, relative to this node.
    Rect bounds() const;

private:
    void forget(Node* child);
    std::uint64_t id_;
    std::optional<Picture> picture_;
    Region damage_;
    int x_ = 0, y_ = 0;
    Node* parent_ = nullptr;
    std::vector<Node*> below_, above_;
};

} // namespace compositor::scene
