// SPDX-License-Identifier: MIT
#include "scene/node.hpp"

#include <algorithm>
#include <atomic>

namespace compositor::scene {
namespace {

constexpr std::size_t max_damage_boxes = 256;

std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

void unite(Rect& all, const Rect& r) {
    if (r.width <= 0 || r.height <= 0) return;
    if (all.width <= 0 || all.height <= 0) {
        all = r;
        return;
    }
    const int x1 = std::min(all.x, r.x), y1 = std::min(all.y, r.y);
    const int x2 = std::max(all.x + all.width, r.x + r.width),
              y2 = std::max(all.y + all.height, r.y + r.height);
    all = {x1, y1, x2 - x1, y2 - y1};
}

} // namespace

Node::Node() : id_(next_id()) {}

Node::~Node() {
    detach();
    for (auto* list : {&below_, &above_})
        for (Node* child : *list)
            child->parent_ = nullptr;
}

void Node::set_picture(std::optional<Picture> picture) {
    picture_ = std::move(picture);
}

void Node::add_damage(const Region& damage) {
    damage_.add(damage);
    if (damage_.boxes().size() > max_damage_boxes) damage_ = Region(damage_.extents());
}

Region Node::take_damage() {
    return std::exchange(damage_, Region{});
}

void Node::set_position(int x, int y) noexcept {
    x_ = clamped(x);
    y_ = clamped(y);
}

void Node::set_children(std::vector<Node*> below, std::vector<Node*> above) {
    for (auto* list : {&below_, &above_})
        for (Node* child : *list)
            child->parent_ = nullptr;
    below_.clear();
    above_.clear();
    for (auto* list : {&below, &above}) {
        for (Node* child : *list) {
            child->detach();
            child->parent_ = this;
        }
    }
    below_ = std::move(below);
    above_ = std::move(above);
}

void Node::detach() {
    if (parent_) std::exchange(parent_, nullptr)->forget(this);
}

void Node::forget(Node* child) {
    std::erase(below_, child);
    std::erase(above_, child);
}

Rect Node::bounds() const {
    Rect all;
    if (!picture_) return all;
    unite(all, {0, 0, picture_->size().width, picture_->size().height});
    for (const auto* list : {&below_, &above_}) {
        for (const Node* child : *list) {
            Rect r = child->bounds();
            r.x += child->x_;
            r.y += child->y_;
            unite(all, r);
        }
    }
    return all;
}

} // namespace compositor::scene
