// SPDX-License-Identifier: MIT
// What the two processes of shared_tree.cpp agree on, and how a reader checks that the writer kept to it.
#pragma once

#include <share/checked_tree.hpp>

#include <boost/interprocess/offset_ptr.hpp>
#include <boost/intrusive/set.hpp>

#include <functional>

namespace intrusive = boost::intrusive;
using Links =
    intrusive::set_base_hook<intrusive::void_pointer<boost::interprocess::offset_ptr<void>>,
                             intrusive::link_mode<intrusive::normal_link>, intrusive::optimize_size<false>>;
struct City : Links {
    unsigned population = 0;
    char name[20] = {};
    friend bool operator<(const City& a, const City& b) { return a.population < b.population; }
};
using Tree = intrusive::set<City, intrusive::constant_time_size<false>>;
using Node = Tree::node;

inline const City* city_of(const Node* node) {
    return static_cast<const City*>(static_cast<const Links*>(node));
}

/// The tree at the start of `bytes`, after its header and all of its nodes were found to be in order.
inline share::Result<const Tree*> trust(std::span<const std::byte> bytes) {
    if (bytes.size() < sizeof(Tree))
        return make_error(share::Code::corrupt, "checking a tree", "the memory is too small for its header");
    const auto* tree = reinterpret_cast<const Tree*>(bytes.data());
    const auto links = [](const Node& node) {
        return share::TreeLinks<City>{city_of(node.left_.get()), city_of(node.right_.get()),
                                      city_of(node.parent_.get())};
    };
    const Node* header = tree->end().pointed_node().get();
    const auto ends = links(*header);
    const auto facts = share::check_tree(bytes, ends.parent, city_of(header), links, std::less<City>());
    if (!facts) return facts.error();
    const bool empty = facts->nodes == 0; // then the header is its own neighbour
    if (ends.left != (empty ? city_of(header) : facts->first) ||
        ends.right != (empty ? city_of(header) : facts->last))
        return make_error(share::Code::corrupt, "checking a tree", "its header names other ends");
    return tree;
}
