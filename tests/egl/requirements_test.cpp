// SPDX-License-Identifier: MIT
#include "egl_support.hpp"

#include <algorithm>

#include <share/accounting.hpp>
#include <share/egl/image.hpp>
#include <share/egl/requirements.hpp>
#include <share/measure.hpp>

#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

const FormatChoice* find(const Requirements& party, Fourcc format) {
    const auto at = std::find_if(party.formats.begin(), party.formats.end(), [&](const FormatChoice& choice) {
        return choice.pair.format == format && choice.state == ProbeState::good;
    });
    return at == party.formats.end() ? nullptr : &*at;
}

} // namespace

TEST_CASE("llvmpipe's needs are measured: it samples our memfd at any stride and offset of whole pixels") {
    const auto display = testing::open_display({{}, true});
    if (display->driver().find("llvmpipe") == std::string::npos) SKIP("no llvmpipe here");
    const auto heaps = HeapTable::probe();
    const auto party = egl::requirements_of(display, heaps, {.party = "llvmpipe"});
    REQUIRE(party);
    INFO(describe(*party));
    CHECK(party->device.empty());
    CHECK(find(*party, format::xrgb8888));
    CHECK(party->stride_align == 4);
    CHECK(party->offset_align == 4);
    CHECK(party->height_align == 1);
    CHECK(party->max_width >= 4096);
    CHECK(party->max_height >= 4096);
    CHECK(contains(party->handles, Exports::memfd));
    CHECK(contains(party->handles, Exports::dmabuf) == heaps.find("udmabuf").ok());
    CHECK(party->uses_cpu());
    for (const Need need : {Need::stride, Need::offset, Need::height_padding, Need::max_picture, Need::handle,
                            Need::contiguity}) {
        const auto* known = find_known(*party, need);
        REQUIRE(known);
        INFO(to_string(need) << ": " << known->from);
        CHECK(known->state == ProbeState::good);
    }
}

TEST_CASE("a layout by a display's measured needs is imported, at an awkward size") {
    const auto display = testing::open_display();
    const auto heaps = HeapTable::probe();
    const auto party = egl::requirements_of(display, heaps);
    REQUIRE(party);
    const auto* choice = find(*party, format::xrgb8888);
    if (!choice) SKIP("this driver imports no XRGB8888 of ours");
    // 59 pixels: no alignment comes by chance.
    const auto layout = Layout::linear(59, 31, format::xrgb8888,
                                       {party->stride_align, party->offset_align, party->height_align, 1});
    REQUIRE(layout);
    CHECK_FALSE(unmet(*party, *layout));
    auto heap = heaps.first_of({"udmabuf", "memfd"});
    REQUIRE(heap);
    auto memory = (*heap)->allocate(layout->size(), "agreed");
    REQUIRE(memory);
    auto buffer = Buffer::create(*memory, 0, *layout);
    REQUIRE(buffer);
    CHECK(egl::Image::import(display, *buffer));
}

TEST_CASE("without memory that a display takes its needs are unprobeable, not invented") {
    const auto display = testing::open_display();
    const auto party = egl::requirements_of(display, HeapTable());
    REQUIRE(party);
    CHECK(party->stride_align == 1);
    const auto* known = find_known(*party, Need::stride);
    REQUIRE(known);
    CHECK(known->state == ProbeState::unprobeable);
    CHECK_FALSE(known->from.empty());
}

TEST_CASE("memory that we cannot make says nothing about a display, and is not kept in the cache") {
    const auto display = testing::open_display();
    const auto heaps = HeapTable::probe();
    testing::TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    const auto measured = [&](MemoryLimits limits) {
        set_memory_limits(limits);
        auto party = egl::requirements_of(display, heaps, {.deadline = Deadline::in(20s), .cache = &cache});
        set_memory_limits({});
        REQUIRE(party);
        return *std::move(party);
    };
    const auto all = egl::requirements_of(display, heaps);
    REQUIRE(all);
    if (find_known(*all, Need::stride)->state != ProbeState::good) SKIP("nothing can be measured here");
    // None at all; then enough for the formats and the usual layouts, but for no large picture.
    for (const std::uint64_t most : {4096U, 256U << 10}) {
        const auto without = measured({.total_bytes = most});
        INFO(most << " bytes: " << describe(without));
        CHECK(find_known(without, Need::max_picture)->state == ProbeState::unprobeable);
        CHECK((find_known(without, Need::stride)->state == ProbeState::good) == (most > 4096));
        const auto bad = [](const Requirements& party) {
            return std::ranges::count_if(party.formats,
                                         [](const auto& c) { return c.state == ProbeState::bad; });
        };
        CHECK(bad(without) <= bad(*all));
    }
    CHECK(find_known(measured({}), Need::max_picture)->state == ProbeState::good);
    // That one is kept: nothing is tried any more.
    CHECK(find_known(measured({.total_bytes = 4096}), Need::max_picture)->state == ProbeState::good);
}

TEST_CASE("measuring a display leaves no fd behind, and ends at its deadline") {
    const auto display = testing::open_display();
    const auto heaps = HeapTable::probe();
    REQUIRE(egl::requirements_of(display, heaps));
    const auto before = testing::count_fds();
    REQUIRE(egl::requirements_of(display, heaps));
    CHECK(testing::count_fds() == before);
    const auto late = egl::requirements_of(display, heaps, {.party = "late", .deadline = Deadline::none()});
    REQUIRE(late);
    REQUIRE(find_known(*late, Need::stride));
    CHECK(find_known(*late, Need::stride)->state == ProbeState::unprobeable);
}

TEST_CASE("what was measured of a driver is kept, and another version or memory is measured anew") {
    const auto display = testing::open_display();
    const auto heaps = HeapTable::probe();
    testing::TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    const auto first = egl::requirements_of(
        display, heaps, {.party = "first", .deadline = Deadline::in(20s), .cache = &cache});
    REQUIRE(first);
    INFO(cache.remark());
    // No time to measure anything: only a cache can know it.
    const auto second = egl::requirements_of(
        display, heaps, {.party = "second", .deadline = Deadline::none(), .cache = &cache});
    REQUIRE(second);
    CHECK(second->party == "second");
    CHECK(second->device == first->device);
    CHECK(second->stride_align == first->stride_align);
    CHECK(second->formats.size() == first->formats.size());
    REQUIRE(find_known(*second, Need::stride));
    CHECK(find_known(*second, Need::stride)->state == find_known(*first, Need::stride)->state);
    const auto without =
        egl::requirements_of(display, HeapTable(), {.deadline = Deadline::none(), .cache = &cache});
    REQUIRE(without);
    CHECK(find_known(*without, Need::stride)->state == ProbeState::unprobeable);
}
