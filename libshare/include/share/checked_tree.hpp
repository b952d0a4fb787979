// SPDX-License-Identifier: MIT
// check_tree(): is a binary search tree in shared memory whole, before one walks it?
//
// Links that a peer wrote, offset pointers or indices, may point anywhere. The check follows each link only
// after it was found to lie in the memory and aligned; it ends on cycles, on nodes with two parents, on too
// deep and too large trees, and on keys out of order. It is true of the moment: a peer that can still write
// can bend a link afterwards. So the peer must be done (its lock released, its file sealed), or what is read
// must be a copy. Cost: O(nodes) time, O(max_depth) space. Owner: borrows all. Thread: any. Header only: it
// knows no container.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <share/result.hpp>

namespace share {

/// Where a node's links lead; null where there is none. May be any addresses.
template<class Node>
struct TreeLinks {
    const Node* left = nullptr;
    const Node* right = nullptr;
    const Node* parent = nullptr;
};

struct TreeLimits {
    std::size_t max_nodes = std::size_t{1} << 24;
    std::size_t max_depth = 64; ///< a red-black tree of 2^31 nodes is no deeper
};

template<class Node>
struct TreeFacts {
    std::size_t nodes = 0;
    std::size_t depth = 0;
    const Node* first = nullptr; ///< in order; null in an empty tree
    const Node* last = nullptr;
};

/// `root` is an address inside `bytes`, or null; `above` is what root's parent link must be. `links(node)`
/// reads a node's links, each once; `before(a, b)` is a strict order of nodes, without equal ones; it may
/// read both nodes but nothing that they point to. Errors: corrupt (at which byte, and what is wrong).
template<class Node, class Links, class Before>
Result<TreeFacts<Node>> check_tree(std::span<const std::byte> bytes, const Node* root, const Node* above,
                                   Links links, Before before, const TreeLimits& limits = {}) {
    const auto base = reinterpret_cast<std::uintptr_t>(bytes.data());
    const auto corrupt = [&](const Node* node, const char* what) {
        const auto at = static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(node) - base);
        return make_error(Code::corrupt, "checking a tree in " + std::to_string(bytes.size()) + " bytes",
                          "the node at byte " + std::to_string(at) + " " + what + "; do not walk it");
    };
    const auto inside = [&](const Node* node) {
        const auto at = reinterpret_cast<std::uintptr_t>(node);
        return at >= base && bytes.size() >= sizeof(Node) && at - base <= bytes.size() - sizeof(Node) &&
               at % alignof(Node) == 0;
    };
    // In order, with the way down on a stack. A node that is reached twice is not after itself.
    struct Visit {
        const Node* node;
        const Node* right;
        std::size_t depth;
    };
    std::vector<Visit> way;
    TreeFacts<Node> facts;
    Visit parent{above, nullptr, 0};
    for (const Node* node = root;;) {
        for (; node != nullptr; parent = way.back()) {
            if (!inside(node)) return corrupt(node, "lies outside or is misaligned");
            if (parent.depth >= limits.max_depth) return corrupt(node, "is too deep, or in a cycle");
            const TreeLinks<Node> at = links(*node);
            if (at.parent != parent.node) return corrupt(node, "names another parent");
            way.push_back({node, at.right, parent.depth + 1});
            node = at.left;
        }
        if (way.empty()) return facts;
        parent = way.back();
        way.pop_back();
        if (facts.last && !before(*facts.last, *parent.node)) return corrupt(parent.node, "is out of order");
        if (++facts.nodes > limits.max_nodes) return corrupt(parent.node, "is one too many");
        if (!facts.first) facts.first = parent.node;
        facts.last = parent.node;
        facts.depth = parent.depth > facts.depth ? parent.depth : facts.depth;
        node = parent.right;
    }
}

} // namespace share
