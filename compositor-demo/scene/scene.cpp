// SPDX-License-Identifier: MIT
#include "scene/scene.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace compositor::scene {
namespace {

// Bounds of what one frame costs, whatever clients do: culling is given up and damage coarsened beyond.
constexpr std::size_t max_covered_boxes = 512;
constexpr std::size_t max_frame_boxes = 512;
constexpr int max_depth = 64;

constexpr std::uint64_t background_id = 0;
constexpr std::uint64_t border_bit = 1ULL << 63; ///< the black around a fullscreen window's root

bool same_picture(const Item& a, const Item& b) {
    return a.content.get() == b.content.get() && a.source == b.source && a.dest == b.dest &&
           a.transform == b.transform && a.blend == b.blend && a.color.r == b.color.r &&
           a.color.g == b.color.g && a.color.b == b.color.b && a.color.a == b.color.a;
}

/// A stream swaps buffers of one geometry: then only the announced damage counts.
bool same_geometry(const Item& a, const Item& b) {
    return a.content && b.content && a.source == b.source && a.dest == b.dest && a.transform == b.transform &&
           a.blend == b.blend;
}

} // namespace

bool Built::is_visible(std::uint64_t node) const {
    return std::find(visible.begin(), visible.end(), node) != visible.end();
}

Scene::Scene(int width, int height, Color background, Observer& observer)
    : width_(width), height_(height), background_(background), observer_(observer) {}

void Scene::add(Window& window) {
    std::erase(windows_, &window);
    windows_.push_back(&window);
    changed();
}

void Scene::remove(Window& window) {
    if (std::erase(windows_, &window) != 0) changed();
}

Scene::Entry Scene::fill(std::uint64_t id, Color color) const {
    Entry entry;
    entry.node = id;
    entry.dest = {0, 0, width_, height_};
    entry.item.color = color;
    entry.item.source = {0, 0, 1, 1};
    entry.item.dest = entry.dest;
    entry.opaque = Region(entry.dest);
    return entry;
}

Scene::Entries Scene::flatten() {
    Entries entries;
    entries.push_back(fill(background_id, background_));
    for (Window* window : windows_) {
        if (!window->root || !window->root->picture()) continue;
        if (window->fullscreen) entries.push_back(fill(window->root->id() | border_bit, Color{0, 0, 0, 1}));
        flatten(*window->root, window->x, window->y, 0, entries);
    }
    return entries;
}

void Scene::flatten(Node& node, int x, int y, int depth, Entries& into) {
    if (!node.picture() || depth > max_depth) return;
    for (Node* child : node.below())
        flatten(*child, x + child->x(), y + child->y(), depth + 1, into);
    const Picture& picture = *node.picture();
    Entry entry;
    entry.node = node.id();
    entry.map = picture.map;
    entry.dest = {x, y, picture.size().width, picture.size().height};
    entry.item = {picture.content,
                  picture.color,
                  picture.map.buffer_source(),
                  entry.dest,
                  picture.map.transform,
                  picture.blend,
                  {}};
    entry.opaque = picture.opaque;
    entry.opaque.intersect(Rect{0, 0, entry.dest.width, entry.dest.height});
    // An opaque region that covers all makes the alpha of the content meaningless.
    if (entry.opaque.contains({0, 0, entry.dest.width, entry.dest.height})) entry.item.blend = false;
    entry.opaque.translate(x, y);
    entry.new_pixels = node.take_damage();
    entry.new_pixels.translate(x, y);
    entry.hold = picture.hold;
    entry.given_back = picture.given_back;
    into.push_back(std::move(entry));
    for (Node* child : node.above())
        flatten(*child, x + child->x(), y + child->y(), depth + 1, into);
}

void Scene::find_visible(Entries& entries) const {
    Region uncovered(Rect{0, 0, width_, height_});
    for (auto it = entries.rbegin(); it != entries.rend(); ++it) {
        it->visible = uncovered;
        it->visible.intersect(it->dest);
        if (it->visible.empty() || it->opaque.empty()) continue;
        Region rest = uncovered;
        rest.subtract(it->opaque);
        if (rest.boxes().size() <= max_covered_boxes) uncovered = std::move(rest);
    }
}

Region Scene::find_damage(const Entries& now) const {
    Region damage;
    std::unordered_map<std::uint64_t, std::size_t> before;
    for (std::size_t i = 0; i < last_.size(); ++i)
        before.emplace(last_[i].node, i);

    std::size_t highest = 0;
    for (const Entry& entry : now) {
        const auto found = before.find(entry.node);
        if (found == before.end()) {
            damage.add(entry.visible);
            continue;
        }
        const Entry& old = last_[found->second];
        // One of each pair that changed places is below the highest place seen so far.
        const bool restacked = found->second < highest;
        highest = std::max(highest, found->second);
        const bool same = same_picture(entry.item, old.item) || same_geometry(entry.item, old.item);
        if (restacked || !same) {
            damage.add(old.visible);
            damage.add(entry.visible);
        } else {
            Region changed = entry.visible;
            changed.subtract(old.visible);
            damage.add(changed);
            Region fresh = entry.new_pixels;
            fresh.intersect(entry.visible);
            damage.add(fresh);
        }
        before.erase(found);
    }
    for (const auto& [node, index] : before)
        damage.add(last_[index].visible);
    if (damage.boxes().size() > max_frame_boxes) damage = Region(damage.extents());
    return damage;
}

void Scene::find_direct(const Entries& now, Built& built) const {
    const Entry* only = nullptr;
    for (const Entry& entry : now) {
        if (entry.visible.empty()) continue;
        if (only) return;
        only = &entry;
    }
    if (!only || !only->item.content || only->item.blend || only->given_back) return;
    const Rect output{0, 0, width_, height_};
    const RectF whole{0, 0, double(width_), double(height_)};
    const Content& content = *only->item.content;
    if (only->dest == output && only->item.source == whole && only->item.transform == Transform::normal &&
        content.width() == width_ && content.height() == height_) {
        built.frame.direct = only->item.content;
        built.direct_hold = only->hold;
    }
}

Built Scene::build() {
    Built built;
    Entries now = flatten();
    find_visible(now);
    find_direct(now, built);

    built.frame.width = width_;
    built.frame.height = height_;
    const Rect output{0, 0, width_, height_};
    built.frame.damage = all_damaged_ ? Region(output) : find_damage(now);
    extra_damage_.intersect(output);
    built.frame.damage.add(std::exchange(extra_damage_, Region{}));
    all_damaged_ = false;

    for (Entry& entry : now) {
        if (entry.visible.empty()) continue;
        if (entry.node != background_id && (entry.node & border_bit) == 0)
            built.visible.push_back(entry.node);
        Item item = entry.item;
        item.clip = entry.visible;
        item.clip.intersect(built.frame.damage);
        if (item.clip.empty()) continue;
        built.frame.items.push_back(std::move(item));
        built.item_nodes.push_back((entry.node & border_bit) != 0 ? 0 : entry.node);
    }
    for (Entry& entry : now) {
        entry.hold.reset(); // the caller holds what the output reads
        entry.new_pixels.clear();
    }
    last_ = std::move(now);
    return built;
}

} // namespace compositor::scene
