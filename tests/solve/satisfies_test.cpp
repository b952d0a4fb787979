// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <share/negotiate.hpp>

#include "parties.hpp"

using namespace share;
using namespace parties;

namespace {

/// A party with one need; and a candidate that the need is not met by.
struct Case {
    Need need;
    Requirements party;
    Candidate unsuitable;
    Candidate suitable;
};

Candidate with(Candidate c, auto change) {
    change(c);
    return c;
}

Requirements wants(auto change) {
    Requirements party{.party = "p"};
    change(party);
    return party;
}

std::vector<Case> cases() {
    const Candidate plain = candidate();
    return {
        {Need::format, wants([](auto& p) { p.formats = {choice(format::nv12)}; }), plain,
         with(plain, [](auto& c) { c.pair.format = format::nv12; })},
        {Need::stride, wants([](auto& p) { p.stride_align = 256; }), plain,
         with(plain, [](auto& c) { c.rules.stride_align = 512; })},
        {Need::offset, wants([](auto& p) { p.offset_align = 65536; }), plain,
         with(plain, [](auto& c) { c.rules.offset_align = 65536; })},
        {Need::size, wants([](auto& p) { p.size_align = 4096; }), plain,
         with(plain, [](auto& c) { c.rules.size_align = 4096; })},
        {Need::height_padding, wants([](auto& p) { p.height_align = 16; }), plain,
         with(plain, [](auto& c) { c.rules.height_align = 16; })},
        {Need::planes, wants([](auto& p) { p.planes_follow = true; }), plain,
         with(plain, [](auto& c) { c.rules.planes_follow = true; })},
        {Need::picture, wants([](auto& p) { p.min_width = 1920; }), plain,
         with(plain, [](auto& c) { c.limits.min_width = 1920; })},
        {Need::max_picture, wants([](auto& p) { p.max_height = 1080; }), plain,
         with(plain, [](auto& c) { c.limits.max_height = 1080; })},
        {Need::max_stride, wants([](auto& p) { p.max_stride = 8192; }), plain,
         with(plain, [](auto& c) { c.limits.max_stride = 4096; })},
        {Need::max_bytes, wants([](auto& p) { p.max_bytes = 64 << 20; }), plain,
         with(plain, [](auto& c) { c.limits.max_bytes = 64 << 20; })},
        {Need::contiguity, wants([](auto& p) { p.contiguous = true; }), plain, candidate(cma())},
        {Need::place, wants([](auto& p) { p.place = Place::system; }), candidate(dumb()), plain},
        {Need::place, wants([](auto& p) { p.place = Place::device, p.place_device = "/dev/dri/card0"; }),
         plain, candidate(dumb())},
        {Need::heap, wants([](auto& p) { p.heaps = {"sysv", "dma-heap:*"}; }), plain, candidate(cma())},
        {Need::page_size, wants([](auto& p) { p.page_size = 2U << 20; }), plain, candidate(huge())},
        {Need::cache, wants([](auto& p) { p.cache = CacheChoice::cached; }), candidate(dumb()), plain},
        {Need::cache, wants([](auto& p) { p.cache = CacheChoice::write_combined; }), plain,
         candidate(dumb())},
        {Need::device_only, wants([](auto& p) { p.device_only = true; }), plain,
         with(plain, [](auto& c) { c.device_only = true; })},
        {Need::cpu_access, wants([](auto& p) { p.cpu_read = Pattern::sequential; }),
         with(plain, [](auto& c) { c.device_only = true; }), plain},
        {Need::writing, wants([](auto& p) { p.device_writes = true; }),
         with(plain, [](auto& c) { c.sealed = true, c.writer = "q"; }),
         with(plain, [](auto& c) { c.sealed = true, c.writer = "p"; })},
        {Need::handle, wants([](auto& p) { p.handles = Exports::sysv; }), plain, candidate(sysv())},
        {Need::read_only, wants([](auto& p) { p.read_only_to_peers = true; }), plain,
         with(plain, [](auto& c) { c.sealed = true; })},
        {Need::sharing, wants([](auto& p) { p.sharing = Sharing::consistent; }), plain,
         with(plain, [](auto& c) { c.sharing = Sharing::consistent; })},
    };
}

} // namespace

TEST_CASE("each need is held against a candidate, alone, and told apart") {
    for (const Case& c : cases()) {
        INFO(describe(c.party) << "\n" << describe(c.unsuitable) << "\n" << describe(c.suitable));
        CHECK(unmet(c.party, c.unsuitable) == c.need);
        CHECK(satisfies(c.party, c.suitable));
        CHECK(has_need(c.party, c.need));
        CHECK(satisfies(without(c.party, c.need), c.unsuitable));
        CHECK_FALSE(has_need(without(c.party, c.need), c.need));
    }
}

TEST_CASE("a party that wants nothing takes everything, and says so") {
    for (const Case& c : cases()) {
        CHECK(satisfies({}, c.unsuitable));
        CHECK(satisfies({}, c.suitable));
    }
    CHECK(describe(Requirements{.party = "tee"}) == "tee (CPU):\n  anything");
}

TEST_CASE("needs in words tell where they are known from") {
    Requirements party{.party = "display", .device = gpu};
    party.stride_align = 256;
    party.known = {{Need::stride, ProbeState::good, "strides 64 and 128 were refused"}};
    party.formats = {choice(format::xrgb8888), choice(format::nv12, tiled, ProbeState::unprobeable)};
    party.formats[0].from = "sampled";
    CHECK(describe(party) == "display (/dev/dri/renderD128):\n"
                             "  XR24 linear (good: sampled), NV12 0x0200000000000001 (unprobeable)\n"
                             "  a stride that is a multiple of 256 (good: strides 64 and 128 were refused)");
}

TEST_CASE("a format measured as bad is never taken, in whatever place it is listed") {
    Requirements party{.party = "renderer"};
    party.formats = {choice(format::xrgb8888, modifier::linear, ProbeState::bad)};
    CHECK(unmet(party, candidate()) == Need::format);
}

TEST_CASE("an alignment that is no power of two is never met") {
    Requirements party{.party = "odd"};
    for (const std::uint32_t align : {0U, 48U, 192U}) {
        party.stride_align = align;
        Candidate c = candidate();
        c.rules.stride_align = 4096;
        CHECK(unmet(party, c) == Need::stride);
    }
}

TEST_CASE("no modifier is the layout of one device, and linear only to who says so") {
    Requirements renderer{
        .party = "renderer", .device = gpu, .formats = {choice(format::xrgb8888, modifier::none)}};
    Candidate rows = candidate();
    Candidate implicit = candidate(driver());
    implicit.pair.modifier = modifier::none;
    implicit.device = gpu;

    CHECK(satisfies(renderer, implicit));
    CHECK(unmet(renderer, rows) == Need::format);
    implicit.device = other_gpu;
    CHECK(unmet(renderer, implicit) == Need::format);

    renderer.formats = {implicit_rows(format::xrgb8888)};
    REQUIRE(satisfies(renderer, rows));
    CHECK(terms(renderer, rows)->modifier == modifier::none);

    Requirements cpu{.party = "decoder", .formats = {choice(format::xrgb8888, modifier::none)}};
    implicit.device.clear();
    CHECK(unmet(cpu, implicit) == Need::format);
}

TEST_CASE("who has no opinion on formats still cannot walk tiles or another driver's layout") {
    Candidate c = candidate(driver());
    c.pair.modifier = tiled;
    Requirements cpu{.party = "filter", .cpu_read = Pattern::sequential};
    c.heap.traits.mappable = true;
    CHECK(unmet(cpu, c) == Need::cpu_access);
    c.pair.modifier = modifier::none;
    c.device = gpu;
    CHECK(unmet(Requirements{.party = "scaler", .device = other_gpu}, c) == Need::format);
    CHECK(satisfies(Requirements{.party = "scaler", .device = gpu}, c));
}

TEST_CASE("memory that cannot be had so is no candidate") {
    Candidate c = candidate();
    CHECK(is_possible(c));
    c.rules.stride_align = 48;
    CHECK_FALSE(is_possible(c));
    c = candidate();
    c.pair.modifier = tiled; // a heap of bytes
    CHECK_FALSE(is_possible(c));
    c = candidate();
    c.sealed = true; // and a dma-buf all the same
    CHECK_FALSE(is_possible(c));
    c.exports = Exports::memfd;
    CHECK(is_possible(c));
    c = candidate(cma());
    c.sealed = true;
    c.exports = Exports::dmabuf;
    CHECK_FALSE(is_possible(c));
    c = candidate(sysv());
    c.device_only = true;
    CHECK_FALSE(is_possible(c));
    c = candidate();
    c.limits.min_width = 1920;
    c.limits.max_stride = 4096;
    CHECK_FALSE(is_possible(c)); // 7680 bytes a row
}

TEST_CASE("who writes, by CPU or device, takes no memory that can only be read") {
    HeapOffer rom = memfd();
    rom.traits.writable = false;
    const Candidate c = candidate(rom);
    CHECK(satisfies({.party = "reader", .cpu_read = Pattern::random}, c));
    CHECK(unmet({.party = "painter", .cpu_write = Pattern::random}, c) == Need::cpu_access);
    const Requirements camera{.party = "camera", .device_writes = true};
    CHECK(unmet(camera, c) == Need::writing);
    CHECK(unmet(camera, MemoryFacts{.traits = rom.traits, .size = 4096}) == Need::writing);
    const std::vector<Requirements> parties{camera};
    const std::vector<HeapOffer> heaps{rom};
    CHECK(std::holds_alternative<Conflict>(negotiate(parties, heaps)));
}

TEST_CASE("pictures are laid out from the smallest to the largest that the parties take, and no others") {
    Candidate c = candidate();
    c.limits = {.min_width = 100, .min_height = 50, .max_width = 200, .max_height = 80};
    CHECK(layout_of(c, 100, 50));
    CHECK(layout_of(c, 200, 80));
    for (const auto& [width, height] : {std::pair{99U, 50U}, std::pair{100U, 49U}, std::pair{201U, 80U},
                                        std::pair{200U, 81U}, std::pair{0U, 0U}}) {
        CAPTURE(width, height);
        const auto layout = layout_of(c, width, height);
        REQUIRE_FALSE(layout);
        CHECK(layout.error().code == Code::limit);
    }
    CHECK(layout_of(c, 99, 50).error().text().find("at least 100x50") != std::string::npos);
}

TEST_CASE("a handle is chosen for each party: dma-buf before memfd before SysV") {
    const Candidate c = candidate(udmabuf());
    CHECK(terms({.party = "any"}, c)->handle == Exports::dmabuf);
    CHECK(terms({.party = "shm", .handles = Exports::memfd | Exports::sysv}, c)->handle == Exports::memfd);
    CHECK(terms({.party = "inside", .handles = Exports::none}, c)->handle == Exports::none);
    CHECK_FALSE(terms({.party = "old", .handles = Exports::sysv}, c).has_value());
}

TEST_CASE("memory that exists is held against a party before it is taken") {
    MemoryFacts memory{.traits = memfd().traits, .heap = "memfd", .size = 4096};
    CHECK_FALSE(unmet({.party = "any"}, memory));
    CHECK(unmet({.party = "p", .size_align = 65536}, memory) == Need::size);
    CHECK(unmet({.party = "p", .contiguous = true}, memory) == Need::contiguity);
    CHECK(unmet({.party = "p", .handles = Exports::dmabuf}, memory) == Need::handle);
    CHECK(unmet({.party = "p", .read_only_to_peers = true}, memory) == Need::read_only);
    memory.sealed = true;
    CHECK_FALSE(unmet({.party = "p", .read_only_to_peers = true}, memory));
    CHECK(unmet({.party = "p", .cpu_write = Pattern::random}, memory) == Need::writing);
    memory.heap.clear();
    CHECK(unmet({.party = "p", .heaps = {"memfd*"}}, memory) == Need::heap);
}

TEST_CASE("a layout that exists is held against a party before it is taken") {
    const std::array planes{Plane{0, 7680}};
    const auto layout = Layout::describe(1920, 1080, format::xrgb8888, modifier::linear, planes, 7680 * 1080);
    REQUIRE(layout);
    CHECK_FALSE(unmet({.party = "any"}, *layout));
    CHECK_FALSE(unmet({.party = "p", .stride_align = 256}, *layout));
    CHECK(unmet({.party = "p", .stride_align = 1024}, *layout) == Need::stride);
    CHECK(unmet({.party = "p", .offset_align = 4096}, *layout, 64) == Need::offset);
    CHECK(unmet({.party = "p", .size_align = 65536}, *layout) == Need::size);
    CHECK(unmet({.party = "p", .height_align = 16}, *layout) == Need::height_padding);
    CHECK(unmet({.party = "p", .max_width = 1280}, *layout) == Need::max_picture);
    CHECK(unmet({.party = "p", .min_height = 1200}, *layout) == Need::picture);
    CHECK(unmet({.party = "p", .max_stride = 4096}, *layout) == Need::max_stride);
    CHECK(unmet({.party = "p", .max_bytes = 1 << 20}, *layout) == Need::max_bytes);
    CHECK(unmet({.party = "p", .formats = {choice(format::nv12)}}, *layout) == Need::format);
}
