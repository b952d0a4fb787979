// SPDX-License-Identifier: MIT
// Properties of negotiate() over random parties. A failure names the seed of its case; the run's own seed is
// printed by Catch2 ("Randomness seeded to") and repeated by --rng-seed.
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>

#include "random_parties.hpp"

using namespace share;
using namespace random_parties;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint32_t cases = 500; // ten times slower
#else
constexpr std::uint32_t cases = 2000;
#endif

std::string text(const std::vector<Requirements>& parties, const std::vector<HeapOffer>& heaps,
                 const Negotiation& negotiation) {
    std::string out;
    for (const auto& party : parties)
        out += describe(party) + "\n";
    for (const auto& heap : heaps)
        out += heap.name + " ";
    return out + "\n" + std::visit([](const auto& result) { return describe(result); }, negotiation);
}

struct Case {
    std::uint32_t seed;
    std::vector<Requirements> parties;
    std::vector<HeapOffer> heaps;
    Negotiation result;
};

Case make_case(std::uint32_t number, unsigned at_most) {
    Case c{Catch::getSeed() + number, {}, {}, Conflict{}};
    Dice dice(c.seed);
    c.heaps = machine(dice);
    c.parties = parties(dice, 1 + dice.below(at_most));
    c.result = negotiate(c.parties, c.heaps);
    return c;
}

void check_agreement(const Case& c, const Agreement& agreement) {
    REQUIRE_FALSE(agreement.choices.empty());
    for (const auto& choice : agreement.choices) {
        const Candidate& candidate = choice.candidate;
        bool good = is_possible(candidate);
        for (const auto& party : c.parties)
            good = good && satisfies(party, candidate) && terms(party, candidate);
        if (!good) FAIL("not for all: " << describe(candidate));
        if (candidate.pair.format == 0 || candidate.pair.modifier != modifier::linear) continue;
        const auto layout = layout_of(candidate, candidate.limits.min_width, candidate.limits.min_height);
        REQUIRE(layout);
        for (const auto& party : c.parties)
            if (const auto need = unmet(party, *layout))
                FAIL("its layout: " << party.party << " " << to_string(*need) << " " << describe(candidate));
    }
}

/// Only what the conflict names is left of the parties; and, by index, each with one claim less.
std::vector<Requirements> claimed(const Case& c, const std::vector<Claim>& claims, std::size_t less) {
    std::vector<Requirements> left;
    for (Requirements party : c.parties) {
        for (std::size_t n = 1; n < need_count; ++n) {
            bool named = false;
            for (std::size_t i = 0; i < claims.size(); ++i)
                named = named || (i != less && claims[i].party == party.party &&
                                  claims[i].need == static_cast<Need>(n));
            if (!named) party = without(std::move(party), static_cast<Need>(n));
        }
        left.push_back(std::move(party));
    }
    return left;
}

bool is_party(const Case& c, const Claim& claim) {
    return std::any_of(c.parties.begin(), c.parties.end(), [&](const auto& party) {
        return party.party == claim.party && has_need(party, claim.need) &&
               claim.text == need_text(party, claim.need);
    });
}

void check_conflict(const Case& c, const Conflict& conflict) {
    std::vector<Claim> claims{conflict.a};
    claims.insert(claims.end(), conflict.others.begin(), conflict.others.end());
    if (is_party(c, conflict.b)) claims.push_back(conflict.b);
    if (c.heaps.empty() || !is_party(c, conflict.a)) return; // nothing to be had at all
    const auto all = brute_force(claimed(c, claims, claims.size()), c.heaps);
    if (all && !all->empty()) FAIL("what it names is no conflict");
    for (std::size_t less = 0; less < claims.size(); ++less) {
        const auto rest = brute_force(claimed(c, claims, less), c.heaps);
        if (rest && rest->empty())
            FAIL("a claim is not to blame: " << claims[less].party << " " << claims[less].text);
    }
}

/// The first entry of the party's list by which alone it would take the candidate.
std::size_t place_of(const Requirements& party, const Candidate& candidate) {
    for (std::size_t i = 0; i < party.formats.size(); ++i) {
        Requirements only = party;
        only.formats = {party.formats[i]};
        if (satisfies(only, candidate)) return i;
    }
    return 0;
}

/// The layout that the needs themselves ask for, without any comfort; nothing where it breaks a limit.
std::optional<Layout> tightest(const Case& c, const Candidate& candidate, std::uint32_t width,
                               std::uint32_t height) {
    LayoutRules rules{1, 1, 1, 1, false};
    for (const auto& party : c.parties) {
        rules.stride_align = std::max(rules.stride_align, party.stride_align);
        rules.offset_align = std::max(rules.offset_align, party.offset_align);
        rules.height_align = std::max(rules.height_align, party.height_align);
        rules.size_align = std::max(rules.size_align, party.size_align);
        rules.planes_follow = rules.planes_follow || party.planes_follow;
    }
    auto layout = Layout::linear(width, height, candidate.pair.format, rules);
    if (!layout) return std::nullopt;
    for (const auto& party : c.parties)
        if (unmet(party, *layout)) return std::nullopt;
    return *layout;
}

/// From well below `least` up to 2000 above it, and no more than `most`.
std::uint32_t length(Dice& dice, std::uint32_t least, std::uint32_t most) {
    const std::uint32_t first = dice.one_in(4) ? 1 : least;
    return first + dice.below(std::min(2000U, most - first + 1));
}

/// Format 0 stands for every format.
bool contains_key(const std::set<Key>& set, const Key& key) {
    return set.contains(key) || set.contains(Key{0, modifier::linear, "", std::get<3>(key)});
}

} // namespace

TEST_CASE("an agreement suits every party and a conflict is real: brute force over everything agrees") {
    unsigned agreed = 0, conflicts = 0, rings = 0, too_many = 0;
    for (std::uint32_t i = 0; i < cases; ++i) {
        const Case c = make_case(i, 4);
        INFO("seed " << c.seed << "\n" << text(c.parties, c.heaps, c.result));
        const auto possible = brute_force(c.parties, c.heaps);
        if (!possible) ++too_many;
        if (possible && *possible != keys(c.result)) FAIL("brute force finds another set");
        if (const auto* agreement = std::get_if<Agreement>(&c.result)) {
            ++agreed;
            check_agreement(c, *agreement);
        } else {
            ++conflicts;
            rings += !std::get<Conflict>(c.result).others.empty();
            check_conflict(c, std::get<Conflict>(c.result));
        }
    }
    INFO(agreed << " agreements, " << conflicts << " conflicts, " << rings
                << " of them with more than two needs, " << too_many << " not tried by brute force");
    CHECK(agreed > cases / 7);
    CHECK(conflicts > cases / 7);
    CHECK(rings > 0);
    CHECK(too_many < cases / 5);
}

TEST_CASE("one more party never makes an agreement larger, and never ends a conflict") {
    for (std::uint32_t i = 0; i < cases; ++i) {
        Case c = make_case(10'000 + i, 5);
        Dice dice(c.seed + 1);
        c.parties.push_back(party(dice, 99, 10));
        const auto more = negotiate(c.parties, c.heaps);
        INFO("seed " << c.seed << "\n" << text(c.parties, c.heaps, c.result));
        const auto before = keys(c.result);
        for (const Key& key : keys(more))
            if (!contains_key(before, key)) FAIL(std::get<3>(key));
    }
    SUCCEED();
}

TEST_CASE("the order of the parties changes nothing") {
    for (std::uint32_t i = 0; i < cases; ++i) {
        Case c = make_case(20'000 + i, 6);
        const auto before = std::visit([](const auto& result) { return describe(result); }, c.result);
        std::shuffle(c.parties.begin(), c.parties.end(), std::mt19937(c.seed));
        const auto after = negotiate(c.parties, c.heaps);
        INFO("seed " << c.seed);
        if (before != std::visit([](const auto& result) { return describe(result); }, after)) FAIL(before);
        if (keys(c.result) != keys(after)) FAIL(before);
    }
    SUCCEED();
}

TEST_CASE(
    "layouts of an agreement suit every party at any size that is agreed on, and none that fits fails") {
    unsigned layouts = 0, small = 0;
    for (std::uint32_t i = 0; i < cases; ++i) {
        const Case c = make_case(30'000 + i, 3);
        const auto* agreement = std::get_if<Agreement>(&c.result);
        if (!agreement) continue;
        Dice dice(c.seed + 1);
        const Limits& limits = agreement->best().limits;
        const std::uint32_t width = length(dice, limits.min_width, limits.max_width);
        const std::uint32_t height = length(dice, limits.min_height, limits.max_height);
        INFO("seed " << c.seed << " " << width << "x" << height << "\n"
                     << text(c.parties, c.heaps, c.result));
        const FormatModifier& pair = agreement->best().pair;
        if (pair.format == 0 || pair.modifier != modifier::linear) continue; // not ours to lay out
        const auto layout = layout_of(agreement->best(), width, height);
        const bool too_small = width < limits.min_width || height < limits.min_height;
        if (too_small && (layout || layout.error().code != Code::limit)) FAIL("smaller than agreed on");
        small += too_small;
        const bool fits = tightest(c, agreement->best(), width, height).has_value();
        if (fits && !layout) FAIL("fits by what the parties need: " << layout.error().text());
        if (!layout) continue; // too small, or over a limit of bytes
        ++layouts;
        for (const auto& party : c.parties)
            if (const auto need = unmet(party, *layout)) FAIL(party.party << " " << to_string(*need));
    }
    CHECK(layouts > cases / 20);
    CHECK(small > 0);
}

TEST_CASE("candidates in one heap stand in the order of the parties' lists") {
    unsigned compared = 0;
    for (std::uint32_t i = 0; i < cases; ++i) {
        const Case c = make_case(40'000 + i, 3);
        const auto* agreement = std::get_if<Agreement>(&c.result);
        if (!agreement) continue;
        INFO("seed " << c.seed << "\n" << text(c.parties, c.heaps, c.result));
        CHECK(agreement->choices.front().because == Criterion::best);
        std::map<std::string, std::size_t> last; // by heap
        for (const auto& choice : agreement->choices) {
            std::size_t places = 0;
            for (const auto& party : c.parties)
                places += place_of(party, choice.candidate);
            const auto [at, first] = last.try_emplace(choice.candidate.heap.name, places);
            if (places < at->second) FAIL("stands too late: " << describe(choice.candidate));
            compared += !first;
            at->second = places;
        }
    }
    CHECK(compared > cases / 20);
}
