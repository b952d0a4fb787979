// SPDX-License-Identifier: MIT
// The tree of examples/shared_tree.cpp in the hands of a writer who errs or is hostile.
#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "shared_tree.hpp"

using namespace share;

namespace {

/// A tree and its nodes in memory that ends right behind the last of them.
struct Built {
    explicit Built(unsigned cities, unsigned seed)
        : size(sizeof(Tree) + cities * sizeof(City)), bytes(std::make_unique<std::byte[]>(size)) {
        auto* tree = new (bytes.get()) Tree;
        std::mt19937 random(seed);
        for (unsigned i = 0; i < cities; ++i) {
            auto* city = new (bytes.get() + sizeof(Tree) + i * sizeof(City)) City;
            city->population = random();
            tree->insert(*city);
        }
    }
    std::span<std::byte> all() const { return {bytes.get(), size}; }
    std::size_t size;
    std::unique_ptr<std::byte[]> bytes;
};

/// All that a reader may do with a tree that was found whole. The number of cities, or nothing when it goes
/// wrong.
std::size_t walk(const Tree& tree, std::size_t most) {
    std::size_t count = 0;
    for (const City& city : tree) {
        if (++count > most) return most + 1;
        City wanted;
        wanted.population = city.population;
        if (&*tree.find(wanted) != &city) return most + 1;
    }
    for (auto at = tree.rbegin(); at != tree.rend(); ++at)
        --count;
    return count == 0 ? tree.size() : most + 1;
}

} // namespace

TEST_CASE("a tree of offset pointers is trusted at any address when it is whole", "[tree][boost]") {
    for (const unsigned cities : {0U, 1U, 2U, 50U}) {
        const Built built(cities, 1);
        const auto elsewhere = std::make_unique<std::byte[]>(built.size);
        std::memcpy(elsewhere.get(), built.bytes.get(), built.size);
        const auto tree = trust({elsewhere.get(), built.size});
        REQUIRE(tree);
        CHECK(walk(**tree, cities) == cities);
        CHECK_FALSE(trust({elsewhere.get(), sizeof(Tree) - 1}));
        if (cities > 0) CHECK_FALSE(trust({elsewhere.get(), built.size - 1}));
    }
}

TEST_CASE("a tree of offset pointers with any bits flipped is refused or safe to walk", "[tree][boost]") {
    std::mt19937 random(31);
    int trusted = 0, refused = 0;
    for (unsigned round = 0; round < 20000; ++round) {
        const unsigned cities = random() % 20;
        const Built built(cities, round);
        for (unsigned flips = 1 + random() % 3; flips > 0; --flips)
            built.all()[random() % built.size] ^= static_cast<std::byte>(1U << (random() % 8));
        const auto tree = trust(built.all());
        tree ? ++trusted : ++refused;
        if (tree && walk(**tree, cities) > cities) FAIL("round " << round);
    }
    CHECK(trusted > 1000); // a name, a colour, a number that is still in order
    CHECK(refused > 1000);
}

TEST_CASE("links that lead to other nodes of the tree are refused", "[tree][boost]") {
    std::mt19937 random(32);
    int refused = 0;
    for (unsigned round = 0; round < 20000; ++round) {
        const unsigned cities = 2 + random() % 10;
        const Built built(cities, round);
        const auto node = [&](unsigned i) -> Node& {
            return *reinterpret_cast<Node*>(built.bytes.get() +
                                            (i == 0 ? 0 : sizeof(Tree) + (i - 1) * sizeof(City)));
        };
        Node& bent = node(random() % (cities + 1));
        (random() % 3 == 0   ? bent.left_
         : random() % 2 == 0 ? bent.right_
                             : bent.parent_) = &node(random() % (cities + 1));
        const auto tree = trust(built.all());
        if (!tree)
            ++refused;
        else if (walk(**tree, cities) > cities)
            FAIL("round " << round);
    }
    CHECK(refused > 10000);
}
