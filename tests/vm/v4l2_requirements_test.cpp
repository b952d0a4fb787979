// SPDX-License-Identifier: MIT
// Devices: vivid (a camera that takes wished strides) and vim2m (a converter that has its own).
#include <algorithm>
#include <variant>

#include <catch2/catch_test_macros.hpp>

#include <share/accounting.hpp>
#include <share/candidate.hpp>
#include <share/measure.hpp>
#include <share/negotiate.hpp>
#include <share/v4l2/m2m.hpp>
#include <share/v4l2/requirements.hpp>

#include "process.hpp"
#include "unchanged.hpp"
#include "vivid.hpp"

using namespace share;
using namespace share::v4l2;
using namespace testing;
using namespace std::chrono_literals;

namespace {

const FormatChoice* find(const Requirements& party, Fourcc format) {
    const auto at = std::ranges::find_if(party.formats, [&](const FormatChoice& choice) {
        return choice.pair == FormatModifier{format, modifier::linear};
    });
    return at == party.formats.end() ? nullptr : &*at;
}

Requirements measure(const Device& device, Side side, const RequirementsOptions& options) {
    auto party = requirements_of(device, side, HeapTable::probe(), options);
    if (!party) FAIL(party.error().text());
    return *std::move(party);
}

} // namespace

TEST_CASE("vivid's needs are measured: any stride of whole pixels, scattered memory, its size",
          "[vm][vivid]") {
    const Unchanged unchanged;
    const auto device = vivid();
    const auto before = device.format(Side::capture);
    REQUIRE(before);
    const auto party = measure(device, Side::capture,
                               {.width = vivid_width, .height = vivid_height, .format = format::xrgb8888});
    INFO(describe(party));
    CHECK(party.device == device.info().path);
    CHECK(party.device_writes);
    CHECK(party.min_width == vivid_width);
    CHECK(party.max_height == vivid_height);
    CHECK(party.planes_follow);
    REQUIRE(find(party, format::xrgb8888));
    CHECK(find(party, format::xrgb8888)->state == ProbeState::unprobeable); // nobody looks at its pixels
    CHECK(party.stride_align == 4);
    CHECK(party.max_stride > vivid_width * 4);
    CHECK_FALSE(party.contiguous);
    for (const Need need : {Need::stride, Need::max_stride, Need::size, Need::contiguity, Need::handle}) {
        const auto* known = find_known(party, need);
        REQUIRE(known);
        INFO(to_string(need) << ": " << known->from);
        CHECK(known->state == ProbeState::good);
    }
    // Asking changed nothing.
    const auto after = device.format(Side::capture);
    REQUIRE(after);
    CHECK(after->code == before->code);
    CHECK(after->width == before->width);
    CHECK(after->sizes == before->sizes);
}

TEST_CASE("vim2m has strides of its own, which no wish changes: only they suit it", "[vm][vim2m]") {
    const Unchanged unchanged;
    auto device = Device::find("vim2m", Kind::m2m);
    if (!device) SKIP("no converter of driver vim2m: " + device.error().text());
    for (const Side side : {Side::output, Side::capture}) {
        const auto party = measure(*device, side, {.width = 320, .height = 240, .format = format::rgb565});
        INFO(describe(party));
        CHECK(party.device_writes == (side == Side::capture));
        const auto tight = Layout::linear(320, 240, format::rgb565, {2, 1, 1, 1});
        const auto padded = Layout::linear(320, 240, format::rgb565, {1024, 1, 1, 1});
        REQUIRE((tight && padded));
        CHECK_FALSE(unmet(party, *tight));
        CHECK(unmet(party, *padded));
        CHECK_FALSE(party.contiguous);
    }
    const auto absurd = requirements_of(*device, Side::output, HeapTable::probe(), {.width = 1, .height = 1});
    CHECK_FALSE(absurd);
}

TEST_CASE("memory that we cannot make says nothing about the camera, and is not kept in the cache",
          "[vm][vivid]") {
    const Unchanged unchanged;
    const auto device = vivid();
    TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    const RequirementsOptions options{.width = vivid_width,
                                      .height = vivid_height,
                                      .format = format::xrgb8888,
                                      .deadline = Deadline::in(20s),
                                      .cache = &cache};
    set_memory_limits({.pinned_bytes = 4096});
    const auto without = measure(device, Side::capture, options);
    set_memory_limits({});
    INFO(describe(without));
    CHECK_FALSE(without.contiguous);
    CHECK(without.stride_align == 4);
    for (const Need need : {Need::handle, Need::contiguity}) {
        const auto* known = find_known(without, need);
        REQUIRE(known);
        INFO(to_string(need) << ": " << known->from);
        CHECK(known->state == ProbeState::unprobeable);
        CHECK(known->from.find("could not be tried") != std::string::npos);
    }
    const auto with = measure(device, Side::capture, options);
    CHECK(find_known(with, Need::handle)->state == ProbeState::good);
    // That one is kept: the limit is back, and nothing is tried any more.
    set_memory_limits({.pinned_bytes = 4096});
    const auto kept = measure(device, Side::capture, options);
    set_memory_limits({});
    CHECK(find_known(kept, Need::handle)->state == ProbeState::good);
}

TEST_CASE("while another program has the camera its memory is unprobeable, its strides are told all the same",
          "[vm][vivid]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    const auto camera = vivid_camera(heaps, vivid_options());
    const auto device = vivid();
    const auto party = measure(device, Side::capture,
                               {.width = vivid_width, .height = vivid_height, .format = format::xrgb8888});
    INFO(describe(party));
    CHECK(find_known(party, Need::contiguity)->state == ProbeState::unprobeable);
    CHECK_FALSE(party.contiguous);
    CHECK(camera->next(Deadline::in(20s))); // undisturbed
}

TEST_CASE("vivid streams into buffers with rows of our choice; layouts that it cannot make are refused",
          "[vm][vivid]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    auto heap = heaps.find("udmabuf");
    REQUIRE(heap);
    const auto make = [&](std::uint32_t width, const LayoutRules& rules, int count = 3) {
        const auto layout = Layout::linear(width, vivid_height, format::xrgb8888, rules);
        REQUIRE(layout);
        auto memory = (*heap)->allocate((layout->size() + 4095) / 4096 * 4096 * 3, "agreed");
        REQUIRE(memory);
        std::vector<std::shared_ptr<Buffer>> buffers;
        for (int i = 0; i < count; ++i) {
            auto buffer = Buffer::create(*memory, (layout->size() + 4095) / 4096 * 4096 * i, *layout);
            REQUIRE(buffer);
            buffers.push_back(*buffer);
        }
        return buffers;
    };
    const auto buffers = make(vivid_width, {4096, 1, 1, 1});
    CHECK(buffers[0]->layout().plane(0).stride == 4096);
    {
        auto camera = Camera::open(vivid(), buffers, {.rate = 60});
        if (!camera) FAIL(camera.error().text());
        CHECK((*camera)->memory() == "udmabuf");
        for (int i = 0; i < 4; ++i) {
            const auto frame = (*camera)->next(Deadline::in(20s));
            if (!frame) FAIL(frame.error().text());
            CHECK(std::ranges::find(buffers, frame->buffer()) != buffers.end());
            CHECK(moved(picture_of(*frame->buffer()), 5) == expected_move(frame->sequence()));
            CHECK(moved(picture_of(*frame->buffer()), static_cast<int>(vivid_height) - 5) ==
                  expected_move(frame->sequence()));
        }
    }
    CHECK(Camera::open(vivid(), make(vivid_width, {4096, 1, 1, 1}, 1)).error().code ==
          Code::invalid_argument);
    // Whoever is refused leaves the format as it was.
    auto other = vivid();
    const auto now = other.format(Side::capture);
    REQUIRE(now);
    const auto before = other.set_format(Side::capture, {now->code, 320, 180, false});
    REQUIRE(before);
    const auto odd = Camera::open(vivid(), make(vivid_width - 3, {4, 1, 1, 1}));
    REQUIRE_FALSE(odd);
    CHECK(odd.error().code == Code::unsupported);
    const auto after = other.format(Side::capture);
    REQUIRE(after);
    CHECK(after->width == before->width);
    CHECK(after->height == before->height);
    CHECK(after->sizes == before->sizes);
}

// For a VM with vivid.allocators=1: then the driver wants contiguous memory, as those of many SoCs do.
TEST_CASE(
    "a camera that refuses scattered memory needs contiguous memory, and this machine has none to agree on",
    "[.contiguous]") {
    const Unchanged unchanged;
    auto heaps = HeapTable::probe();
    const auto party = measure(vivid(), Side::capture,
                               {.width = vivid_width, .height = vivid_height, .format = format::xrgb8888});
    INFO(describe(party));
    CHECK(party.contiguous);
    const auto* known = find_known(party, Need::contiguity);
    REQUIRE(known);
    CHECK(known->from.find("scattered memory was not taken") != std::string::npos);
    const auto result = negotiate(std::vector{party}, offers_of(heaps));
    REQUIRE(std::holds_alternative<Conflict>(result));
    const auto& conflict = std::get<Conflict>(result);
    INFO(describe(conflict));
    CHECK((conflict.a.need == Need::contiguity || conflict.b.need == Need::contiguity));
}
