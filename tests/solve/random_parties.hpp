// SPDX-License-Identifier: MIT
// Random parties and machines over small domains, and brute force over all that could be agreed on.
#pragma once

#include <functional>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include <share/negotiate.hpp>

namespace random_parties {

using namespace share;

class Dice {
public:
    explicit Dice(std::uint32_t seed) : engine_(seed) {}
    /// True once in `n`.
    bool one_in(unsigned n) { return below(n) == 0; }
    unsigned below(unsigned n) { return engine_() % n; }
    template<typename T>
    T of(std::initializer_list<T> values) {
        return *(values.begin() + below(values.size()));
    }

private:
    std::mt19937 engine_;
};

/// `wishes`: about how many of the needs a party has, in a hundred.
Requirements party(Dice& dice, unsigned number, unsigned wishes);
std::vector<Requirements> parties(Dice& dice, unsigned count);
std::vector<HeapOffer> machine(Dice& dice);

/// What tells candidates of one agreement apart: format, modifier, whose implicit layout, heap.
using Key = std::tuple<Fourcc, std::uint64_t, std::string, std::string>;
Key key(const Candidate& candidate);
std::set<Key> keys(const Negotiation& negotiation);

/// Everything that suits all parties, found by trying every combination of the values that the parties name
/// and of the defaults. Nothing is concluded: is_possible() and satisfies() judge each. Nothing at all when
/// there would be more than `limit` combinations.
std::optional<std::set<Key>> brute_force(const std::vector<Requirements>& parties,
                                         const std::vector<HeapOffer>& heaps, std::size_t limit = 100'000);

} // namespace random_parties
