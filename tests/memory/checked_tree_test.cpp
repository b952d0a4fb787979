// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include <share/checked_tree.hpp>

using namespace share;

namespace {

/// A node as a peer might lay it out: links are distances in bytes from the node; 0 is none.
struct Node {
    std::int32_t key = 0;
    std::int32_t left = 0, right = 0, parent = 0;
};

const Node* follow(const Node& from, std::int32_t distance) {
    // By numbers: the address may be anything.
    return distance == 0
               ? nullptr
               : reinterpret_cast<const Node*>(reinterpret_cast<std::uintptr_t>(&from) +
                                               static_cast<std::uintptr_t>(std::intptr_t{distance}));
}

TreeLinks<Node> links(const Node& node) {
    return {follow(node, node.left), follow(node, node.right), follow(node, node.parent)};
}

std::int32_t distance(const Node* from, const Node* to) {
    return to ? static_cast<std::int32_t>(reinterpret_cast<const std::byte*>(to) -
                                          reinterpret_cast<const std::byte*>(from))
              : 0;
}

/// Builds a balanced tree of nodes[first, last), whose places are shuffled; keys are 10, 20, 30, ...
Node* build(std::vector<Node>& nodes, const std::vector<std::size_t>& places, std::size_t first,
            std::size_t last) {
    if (first == last) return nullptr;
    const std::size_t middle = (first + last) / 2;
    Node* node = &nodes[places[middle]];
    node->key = static_cast<std::int32_t>(middle) * 10;
    Node* left = build(nodes, places, first, middle);
    Node* right = build(nodes, places, middle + 1, last);
    node->left = distance(node, left);
    node->right = distance(node, right);
    for (Node* child : {left, right})
        if (child) child->parent = distance(child, node);
    return node;
}

struct Tree {
    explicit Tree(std::size_t count, unsigned seed = 1) : nodes(count), places(count) {
        for (std::size_t i = 0; i < count; ++i)
            places[i] = i;
        std::shuffle(places.begin(), places.end(), std::mt19937(seed));
        root = build(nodes, places, 0, count);
    }
    Node& at(std::size_t rank) { return nodes[places[rank]]; }
    Result<TreeFacts<Node>> check(const TreeLimits& limits = {}) const {
        return check_tree(
            std::as_bytes(std::span(nodes)), static_cast<const Node*>(root),
            static_cast<const Node*>(nullptr), links,
            [](const Node& a, const Node& b) { return a.key < b.key; }, limits);
    }
    std::vector<Node> nodes;
    std::vector<std::size_t> places;
    Node* root = nullptr;
};

/// What a reader does afterwards, trusting the links.
std::size_t walk(const Node* node, int depth) {
    if (node == nullptr) return 0;
    REQUIRE(depth < 64);
    return walk(links(*node).left, depth + 1) + 1 + walk(links(*node).right, depth + 1);
}

std::string why(const Result<TreeFacts<Node>>& result) {
    return result ? "accepted" : result.error().detail;
}

} // namespace

TEST_CASE("a whole tree is accepted, and what it is told", "[tree]") {
    for (const std::size_t count : {0U, 1U, 2U, 3U, 100U, 1000U}) {
        Tree tree(count);
        const auto facts = tree.check();
        REQUIRE(facts);
        CHECK(facts->nodes == count);
        if (count == 0) continue;
        CHECK(facts->depth == static_cast<std::size_t>(std::bit_width(count)));
        CHECK(facts->first == &tree.at(0));
        CHECK(facts->last == &tree.at(count - 1));
    }
}

TEST_CASE("each way to damage a tree is refused by its name", "[tree]") {
    SECTION("a link out of the memory") {
        Tree tree(100);
        tree.at(7).left = 1 << 30;
        CHECK(why(tree.check()).find("outside") != std::string::npos);
    }
    SECTION("a link to the last bytes, where no whole node fits") {
        Tree tree(100);
        tree.at(0).left = distance(&tree.at(0), &tree.nodes.back()) + 4;
        CHECK(why(tree.check()).find("outside") != std::string::npos);
    }
    SECTION("a misaligned link") {
        Tree tree(100);
        tree.at(0).left = 2;
        CHECK(why(tree.check()).find("misaligned") != std::string::npos);
    }
    SECTION("a cycle, with parents that fit it") {
        Tree tree(100);
        tree.at(0).left = distance(&tree.at(0), tree.root);
        tree.root->parent = distance(tree.root, &tree.at(0));
        CHECK_FALSE(tree.check());
    }
    SECTION("a node that is its own child") {
        Tree tree(3);
        tree.at(0).right = 0;
        tree.root->right = 0;
        tree.root->left = 4;
        CHECK_FALSE(tree.check());
    }
    SECTION("a node with two parents") {
        Tree tree(3);
        tree.root->right = tree.root->left;
        CHECK(why(tree.check()).find("out of order") != std::string::npos);
    }
    SECTION("another parent") {
        Tree tree(100);
        tree.at(50).parent += 16;
        CHECK(why(tree.check()).find("another parent") != std::string::npos);
    }
    SECTION("equal keys, and keys in the wrong order") {
        Tree tree(100);
        tree.at(50).key = tree.at(49).key;
        CHECK(why(tree.check()).find("out of order") != std::string::npos);
        tree.at(50).key = tree.at(51).key + 5;
        CHECK(why(tree.check()).find("out of order") != std::string::npos);
    }
    SECTION("too deep, to the left and to the right") {
        for (const bool left : {true, false}) {
            Tree tree(100);
            for (std::size_t i = 0; i < 100; ++i) {
                Node& node = tree.nodes[i];
                Node* child = i + 1 < 100 ? &tree.nodes[i + 1] : nullptr;
                node = {static_cast<std::int32_t>(left ? 100 - i : i), 0, 0, i == 0 ? 0 : -16};
                (left ? node.left : node.right) = distance(&node, child);
            }
            tree.root = &tree.nodes[0];
            CHECK(why(tree.check()).find("too deep") != std::string::npos);
            CHECK(tree.check({.max_depth = 100}));
            CHECK_FALSE(tree.check({.max_depth = 99}));
        }
    }
    SECTION("too many nodes") {
        const Tree tree(100);
        CHECK(tree.check({.max_nodes = 100}));
        CHECK(why(tree.check({.max_nodes = 99})).find("too many") != std::string::npos);
    }
}

TEST_CASE("a tree with any bits flipped is refused or safe to walk", "[tree]") {
    std::mt19937 random(2026);
    int refused = 0, accepted = 0;
    for (int round = 0; round < 20000; ++round) {
        Tree tree(1 + random() % 40, static_cast<unsigned>(round));
        const auto bytes = std::as_writable_bytes(std::span(tree.nodes));
        for (unsigned flips = 1 + random() % 4; flips > 0; --flips)
            bytes[random() % bytes.size()] ^= static_cast<std::byte>(1U << (random() % 8));
        const auto facts = tree.check();
        facts ? ++accepted : ++refused;
        if (facts && walk(tree.root, 0) != facts->nodes) FAIL("round " << round);
    }
    CHECK(refused > 1000);
    CHECK(accepted > 100); // a key that changed a little is still in order
}

TEST_CASE("garbage instead of a tree is refused", "[tree]") {
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        Tree tree(20);
        for (auto& byte : std::as_writable_bytes(std::span(tree.nodes)))
            byte = static_cast<std::byte>(random());
        const auto facts = tree.check();
        if (facts && walk(tree.root, 0) != facts->nodes) FAIL("round " << round);
    }
}
