// SPDX-License-Identifier: MIT
// Device: vkms. What its display needs, measured by framebuffers and commits that are only tested.
#include <algorithm>

#include <catch2/catch_test_macros.hpp>

#include <share/accounting.hpp>
#include <share/candidate.hpp>
#include <share/kms/requirements.hpp>
#include <share/kms/scan_out.hpp>
#include <share/measure.hpp>

#include "kms_support.hpp"
#include "process.hpp"
#include "unchanged.hpp"

using namespace share;
using namespace testing;

TEST_CASE("vkms' needs are measured: any stride and offset, its own sizes, scattered memory", "[vm][kms]") {
    const Unchanged unchanged;
    const auto device = kms_device();
    const auto heaps = all_heaps();
    const auto handles = device->gem_handle_count();
    const auto party = kms::requirements_of(device, heaps, {.party = "vkms"});
    must(party);
    INFO(describe(*party));
    CHECK(party->device == device->node());
    const auto xrgb = std::ranges::find_if(party->formats, [](const FormatChoice& choice) {
        return choice.pair == FormatModifier{format::xrgb8888, modifier::linear};
    });
    REQUIRE(xrgb != party->formats.end());
    CHECK(xrgb->state == ProbeState::good);
    CHECK(party->stride_align == 4);
    CHECK(party->height_align == 1);
    CHECK_FALSE(party->contiguous);
    CHECK(party->max_width == device->capabilities().max_width);
    CHECK(party->max_height == device->capabilities().max_height);
    for (const Need need : {Need::stride, Need::offset, Need::height_padding, Need::max_picture,
                            Need::picture, Need::contiguity}) {
        const auto* known = find_known(*party, need);
        REQUIRE(known);
        INFO(to_string(need) << ": " << known->from);
        CHECK(known->state == ProbeState::good);
    }
    CHECK(device->gem_handle_count() == handles);

    // The needs hold: a picture by them, and by nothing more, is shown.
    const auto display = kms::ScanOut::create(device);
    must(display);
    const auto layout = Layout::linear(
        display.value()->mode().width | 1U, display.value()->mode().height | 1U, format::xrgb8888,
        {party->stride_align, party->offset_align, party->height_align, party->size_align});
    must(layout);
    CHECK_FALSE(unmet(*party, *layout));
    const auto framebuffer =
        kms::Framebuffer::create(device, make_buffer(heap_of(heaps, "udmabuf"), *layout));
    must(framebuffer);
    must(display.value()->show(*framebuffer, Deadline::in(std::chrono::seconds(5))));
}

TEST_CASE("while another is DRM master only ADDFB2 is asked, and nothing is called good that was not seen",
          "[vm][kms]") {
    const Unchanged unchanged;
    const auto master = kms_device();
    const auto held = kms::ScanOut::create(master);
    must(held);
    const auto device = kms_device();
    const auto party = kms::requirements_of(device, all_heaps());
    must(party);
    INFO(describe(*party));
    CHECK(party->stride_align == 4);
    CHECK(std::ranges::none_of(party->formats, [](const auto& c) { return c.state == ProbeState::good; }));
    CHECK(find_known(*party, Need::picture)->state == ProbeState::unprobeable);
}

TEST_CASE("without memory of the right kind a display's needs are unprobeable, and vgem shows nothing",
          "[vm][kms]") {
    const Unchanged unchanged;
    const auto party = kms::requirements_of(kms_device(), HeapTable());
    must(party);
    CHECK(find_known(*party, Need::stride)->state == ProbeState::unprobeable);
    const auto vgem = kms::requirements_of(kms_device("vgem"), all_heaps());
    REQUIRE_FALSE(vgem);
    CHECK(vgem.error().code == Code::unsupported);
}

TEST_CASE("memory that we cannot make says nothing about the display, and is not kept in the cache",
          "[vm][kms]") {
    const Unchanged unchanged;
    const auto heaps = all_heaps();
    TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    const auto measured = [&](MemoryLimits limits) {
        set_memory_limits(limits);
        auto party = kms::requirements_of(
            kms_device(), heaps,
            {.party = "vkms", .deadline = Deadline::in(std::chrono::seconds(20)), .cache = &cache});
        set_memory_limits({});
        must(party);
        return *std::move(party);
    };
    // None at all; then enough for one trial, but for no picture.
    for (const std::uint64_t most : {4096U, 512U << 10}) {
        const auto without = measured({.pinned_bytes = most});
        INFO(most << " bytes: " << describe(without));
        CHECK_FALSE(without.contiguous);
        CHECK(
            std::ranges::none_of(without.formats, [](const auto& c) { return c.state == ProbeState::bad; }));
        for (const Need need : {Need::stride, Need::offset, Need::picture, Need::max_picture}) {
            const auto* known = find_known(without, need);
            REQUIRE(known);
            INFO(to_string(need) << ": " << known->from);
            CHECK(known->state == ProbeState::unprobeable);
        }
    }
    CHECK(find_known(measured({}), Need::stride)->state == ProbeState::good);
    // That one is kept: nothing is tried any more.
    CHECK(find_known(measured({.pinned_bytes = 4096}), Need::stride)->state == ProbeState::good);
}

TEST_CASE("a format that a display does not take has a short reason", "[vm][kms]") {
    const Unchanged unchanged;
    const auto party = kms::requirements_of(kms_device(), all_heaps());
    must(party);
    for (const auto& choice : party->formats) {
        INFO(choice.from);
        CHECK(choice.from.size() < 200);
    }
    for (const auto& known : party->known) {
        INFO(known.from);
        CHECK(known.from.size() < 400);
    }
}

TEST_CASE(
    "what was measured of a display is kept for its mode, and not taken for what was asked without commits",
    "[vm][kms]") {
    const Unchanged unchanged;
    const auto heaps = all_heaps();
    TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    const auto in_no_time = [&] {
        const auto party =
            kms::requirements_of(kms_device(), heaps, {.deadline = Deadline::none(), .cache = &cache});
        must(party);
        return find_known(*party, Need::stride)->state;
    };
    CHECK(in_no_time() == ProbeState::unprobeable);
    must(kms::requirements_of(kms_device(), heaps,
                              {.deadline = Deadline::in(std::chrono::seconds(20)), .cache = &cache}));
    CHECK(in_no_time() == ProbeState::good);
    const auto master = kms::ScanOut::create(kms_device());
    must(master);
    CHECK(in_no_time() == ProbeState::unprobeable);
}
