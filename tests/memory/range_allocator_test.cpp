// SPDX-License-Identifier: MIT
// RangeAllocator beside a naive one that looks at every free range.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <bit>
#include <map>
#include <random>
#include <set>

#include <share/range_allocator.hpp>

#include "naive_ranges.hpp"

using namespace share;
using testing::NaiveRanges;

namespace {

/// The first free range that is long enough, in no order: a strategy as a user would write one.
class FirstFit final : public FitStrategy {
public:
    std::string_view name() const noexcept override { return "first fit"; }
    void reserve(std::size_t ids) override { present_.resize(ids); }
    void insert(RangeEntry*, RangeId id) noexcept override { present_[id] = true; }
    void remove(RangeEntry*, RangeId id) noexcept override { present_[id] = false; }
    RangeId find(const RangeEntry* table, std::uint32_t units) const noexcept override {
        RangeId best = no_range;
        for (RangeId id = 1; id < present_.size(); ++id)
            if (present_[id] && table[id].gap >= units &&
                (best == no_range || start(table, id) < start(table, best)))
                best = id;
        return best;
    }
    RangeId next(const RangeEntry*, RangeId) const noexcept override { return no_range; }
    std::uint32_t largest(const RangeEntry* table) const noexcept override {
        std::uint32_t most = 0;
        for (RangeId id = 1; id < present_.size(); ++id)
            if (present_[id]) most = std::max(most, table[id].gap);
        return most;
    }

private:
    static std::uint32_t start(const RangeEntry* table, RangeId id) {
        return table[table[id].after].start - table[id].gap;
    }
    std::vector<bool> present_;
};

/// How wide the class of lengths is that good fit puts a length into, by counting up.
std::uint32_t class_width(std::uint32_t units) {
    std::uint32_t width = 1;
    while (units / width >= 64)
        width *= 2;
    return width;
}
std::uint32_t class_start(std::uint32_t units) {
    return units / class_width(units) * class_width(units);
}

struct Scale {
    std::uint32_t units;
    double max_log2;
};

/// Random allocs and frees; `expect` judges each allocation by the naive ranges as they were before it.
template<class Expect>
void run_model(RangeAllocator& ranges, const Scale& scale, unsigned seed, int steps, Expect expect) {
    INFO("seed " << seed << ", " << scale.units << " units");
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> power(0, scale.max_log2);
    NaiveRanges naive(scale.units);
    struct Held {
        RangeId id;
        std::uint32_t start, units;
    };
    std::vector<Held> held;
    bool wrong = false;
    for (int step = 0; step < steps && !wrong; ++step) {
        const bool filling = (step / 2000) % 2 == 0;
        if (held.empty() || random() % 100 < (filling ? 70U : 30U)) {
            const auto units = static_cast<std::uint32_t>(std::exp2(power(random)));
            const std::uint32_t alignment = random() % 4 == 0 ? 1U << (random() % 8) : 1;
            const auto got = ranges.allocate(units, alignment);
            wrong = !expect(naive, units, alignment, got);
            if (got) {
                wrong = wrong || !naive.take(got->start, units);
                held.push_back({got->id, got->start, units});
            }
        } else {
            std::swap(held[random() % held.size()], held.back());
            const auto at = ranges.block(held.back().id);
            wrong = at.start != held.back().start || at.units != held.back().units;
            ranges.free(held.back().id);
            naive.give(held.back().start, held.back().units);
            held.pop_back();
        }
        if (step % 50 == 0) {
            const auto s = ranges.statistics();
            wrong = wrong || s.free_units != naive.free_units() || s.largest_free != naive.largest() ||
                    s.free_ranges != naive.free.size() || s.blocks != held.size() ||
                    s.used_units + s.free_units != scale.units || !naive.same_as(ranges.ranges());
        }
        if (wrong) FAIL("step " << step);
    }
    for (const auto& block : held)
        ranges.free(block.id);
    const auto s = ranges.statistics();
    CHECK(s.blocks == 0);
    CHECK(s.free_ranges == 1);
    CHECK(s.largest_free == scale.units);
}

/// True when an aligned answer is right: inside one free range and aligned; or refused, and no range is so
/// long that every alignment fits into it.
bool aligned_answer(const NaiveRanges& naive, std::uint32_t units, std::uint32_t alignment,
                    const std::optional<RangeAllocator::Allocation>& got) {
    if (!got) return naive.largest() < std::uint64_t{units} + alignment - 1;
    return got->start % alignment == 0 && naive.holding(got->start, units) != naive.free.end();
}

constexpr Scale scales[] = {{1, 1},         {100, 4},       {5000, 8},
                            {1U << 20, 15}, {1U << 27, 24}, {RangeAllocator::max_units, 29}};

} // namespace

TEST_CASE("best fit takes the shortest free range that is long enough, and merges what is freed",
          "[ranges]") {
    for (const auto& scale : scales) {
        RangeAllocator ranges(scale.units, Fit::best);
        run_model(ranges, scale, 1 + scale.units, 20000,
                  [](const auto& naive, auto units, auto alignment, const auto& got) {
                      if (alignment != 1) return aligned_answer(naive, units, alignment, got);
                      const auto shortest = naive.shortest(units);
                      if (!shortest || !got) return !shortest && !got;
                      const auto from = naive.holding(got->start, units);
                      return from != naive.free.end() && from->second == *shortest &&
                             from->first == got->start;
                  });
    }
}

TEST_CASE("good fit takes from the first class of lengths that all are long enough", "[ranges]") {
    for (const auto& scale : scales) {
        RangeAllocator ranges(scale.units, Fit::good);
        run_model(ranges, scale, 2 + scale.units, 20000,
                  [](const auto& naive, auto units, auto alignment, const auto& got) {
                      if (alignment != 1) return aligned_answer(naive, units, alignment, got);
                      const std::uint32_t width = class_width(units); // up to where the next class begins
                      const std::uint32_t least = (units + width - 1) / width * width;
                      const auto shortest = naive.shortest(least);
                      if (!got) return !shortest;
                      const auto from = naive.holding(got->start, units);
                      if (from == naive.free.end() || from->first != got->start) return false;
                      return !shortest || class_start(from->second) == class_start(*shortest);
                  });
    }
}

TEST_CASE("a strategy of the user's own decides where blocks lie", "[ranges]") {
    constexpr Scale scale{5000, 8};
    RangeAllocator ranges(scale.units, std::make_unique<FirstFit>());
    CHECK(ranges.strategy() == "first fit");
    run_model(ranges, scale, 3, 3000, [](const auto& naive, auto units, auto alignment, const auto& got) {
        if (alignment != 1) return !got || got->start % alignment == 0;
        const auto first =
            std::ranges::find_if(naive.free, [&](const auto& range) { return range.second >= units; });
        if (first == naive.free.end()) return !got;
        return got && got->start == first->first;
    });
}

TEST_CASE("a free range of just the length asked for is found by either strategy", "[ranges]") {
    for (const auto fit : {Fit::best, Fit::good}) {
        for (const std::uint32_t units :
             {1U, 63U, 64U, 65U, 4095U, 4096U, 4097U, 262143U, 1000003U, RangeAllocator::max_units}) {
            RangeAllocator ranges(units, fit);
            const auto all = ranges.allocate(units);
            REQUIRE(all);
            CHECK_FALSE(ranges.allocate(1));
            ranges.free(all->id);
            if (units < RangeAllocator::max_units) CHECK_FALSE(ranges.allocate(units + 1));
        }
    }
}

TEST_CASE("alignment takes a later candidate before it takes a much longer range", "[ranges]") {
    RangeAllocator ranges(1024);
    const auto a = ranges.allocate(3), b = ranges.allocate(4), c = ranges.allocate(9), d = ranges.allocate(5),
               e = ranges.allocate(1);
    REQUIRE((a && b && c && d && e));
    ranges.free(b->id); // 4 units at 3: too short for 4 at a multiple of 8
    ranges.free(d->id); // 5 units at 16
    const auto aligned = ranges.allocate(4, 8);
    REQUIRE(aligned);
    CHECK(aligned->start == 16);
    CHECK(ranges.allocate(512, 512)->start == 512);
    CHECK_FALSE(ranges.allocate(512, 512));
    CHECK_FALSE(ranges.allocate(1, 1U << 31));
}

TEST_CASE("free lengths that all differ, over the whole scale, need no more nodes than were made",
          "[ranges]") {
    // As many different lengths as fit, each in a node of its own: 4096, 4096 + 64, ... with a block between
    // them.
    RangeAllocator ranges(RangeAllocator::max_units);
    std::vector<RangeId> gaps, between;
    for (std::uint32_t length = 4096;; length += 64) {
        const auto gap = ranges.allocate(length);
        const auto wall = gap ? ranges.allocate(1) : std::nullopt;
        if (!wall) break;
        gaps.push_back(gap->id);
        between.push_back(wall->id);
    }
    CHECK(gaps.size() > 8000);
    for (const auto id : gaps)
        ranges.free(id);
    CHECK(ranges.statistics().free_ranges >= gaps.size());
    std::uint32_t length = 4096;
    for (auto& id : gaps) {
        const auto again = ranges.allocate(length);
        REQUIRE(again);
        id = again->id;
        length += 64;
    }
    for (const auto& ids : {gaps, between})
        for (const auto id : ids)
            ranges.free(id);
    CHECK(ranges.statistics().largest_free == RangeAllocator::max_units);
}
