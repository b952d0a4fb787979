// SPDX-License-Identifier: MIT
// What compositors take, measured: of every kind that the fake one can play, and of real ones.
#include <sys/sysmacros.h>

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>

#include <share/accounting.hpp>
#include <share/candidate.hpp>
#include <share/measure.hpp>
#include <share/wayland_client/requirements.hpp>

#include "client.hpp"
#include "process.hpp"

using namespace testing;
using share::Exports;
using share::Need;
using share::ProbeState;

namespace {

constexpr std::uint64_t tiled = 0x0100'0000'0000'0001;

share::Requirements measured(Client& client) {
    auto party =
        wl::dmabuf_requirements(*client.display, client.heaps, {.party = "fake", .deadline = soon()});
    if (!party) FAIL(party.error().text());
    return *std::move(party);
}

const share::FormatChoice* find(const share::Requirements& party, share::FormatModifier pair) {
    const auto at =
        std::ranges::find_if(party.formats, [&](const auto& choice) { return choice.pair == pair; });
    return at == party.formats.end() ? nullptr : &*at;
}

} // namespace

TEST_CASE("what a compositor accepts is good, what it refuses bad, what only its driver makes unprobeable") {
    const auto fds = count_fds();
    {
        FakeRules rules = with_dmabuf(GENERATE(3U, 4U, 5U));
        rules.dmabuf_formats.emplace_back(share::format::xrgb8888, tiled);
        FakeCompositor server(std::move(rules));
        Client client(server);
        const auto party = measured(client);
        INFO(describe(party));
        REQUIRE(find(party, {share::format::xrgb8888, share::modifier::linear}));
        CHECK(find(party, {share::format::xrgb8888, share::modifier::linear})->state == ProbeState::good);
        REQUIRE(find(party, {share::format::xrgb8888, tiled}));
        CHECK(find(party, {share::format::xrgb8888, tiled})->state == ProbeState::unprobeable);
        CHECK(contains(party.handles, Exports::memfd));
        CHECK(contains(party.handles, Exports::dmabuf) == client.heaps.find("udmabuf").ok());
        CHECK(party.uses_cpu()); // it took a memfd: it is software
        CHECK(party.stride_align == 4);
        CHECK(party.offset_align == 4);
        CHECK(server.immediate_creates == 0);
        CHECK(server.buffers_made == server.buffers_destroyed);
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("alignments that a compositor insists on are found as it has them") {
    const std::uint32_t stride = GENERATE(64U, 256U, 1024U), offset = GENERATE(16U, 4096U);
    FakeRules rules = with_dmabuf(4);
    rules.accept_layout = [=](std::uint32_t at, std::uint32_t row) {
        return row % stride == 0 && at % offset == 0;
    };
    FakeCompositor server(std::move(rules));
    Client client(server);
    const auto party = measured(client);
    INFO(describe(party));
    if (stride > 256) {
        // The usual probe has rows of 256: nothing is accepted, and nothing invented.
        CHECK(party.stride_align == 1);
        CHECK(share::find_known(party, Need::stride)->state == ProbeState::unprobeable);
        return;
    }
    CHECK(party.stride_align == stride);
    CHECK(party.offset_align == offset);
    CHECK(share::find_known(party, Need::stride)->state == ProbeState::good);
}

TEST_CASE("a compositor that refuses everything is measured as such; by wl_shm it is another party") {
    FakeRules rules = with_dmabuf(3);
    rules.accept = [](int, std::uint32_t) { return false; };
    FakeCompositor server(std::move(rules));
    Client client(server);
    const auto party = measured(client);
    INFO(describe(party));
    CHECK(std::ranges::none_of(party.formats, [](const auto& c) { return c.state == ProbeState::good; }));
    CHECK(share::find_known(party, Need::handle)->state == ProbeState::unprobeable);

    const auto shm = wl::shm_requirements(*client.display, {.party = "shm"});
    REQUIRE(shm);
    INFO(describe(*shm));
    CHECK(shm->handles == Exports::memfd);
    REQUIRE(find(*shm, {share::format::xrgb8888, share::modifier::linear}));
    CHECK(find(*shm, {share::format::xrgb8888, share::modifier::linear})->state == ProbeState::unprobeable);
    CHECK(shm->max_bytes == 0x7fff'ffff);
}

TEST_CASE("without linux-dmabuf or wl_shm there is no such party, with the reason") {
    FakeRules rules;
    rules.shm = false;
    FakeCompositor server(std::move(rules));
    Client client(server);
    const auto dmabuf = wl::dmabuf_requirements(*client.display, client.heaps);
    REQUIRE_FALSE(dmabuf);
    CHECK(dmabuf.error().code == share::Code::unsupported);
    CHECK(contains(dmabuf.error().text(), "no linux-dmabuf"));
    CHECK_FALSE(wl::shm_requirements(*client.display));
}

TEST_CASE("memory that we cannot make says nothing about a compositor") {
    FakeCompositor server(with_dmabuf(4));
    Client client(server);
    const auto limited = [&](std::uint64_t most) {
        share::set_memory_limits({.total_bytes = most});
        auto party =
            wl::dmabuf_requirements(*client.display, client.heaps, {.party = "fake", .deadline = soon()});
        share::set_memory_limits({});
        if (!party) FAIL(party.error().text());
        return *std::move(party);
    };
    // None at all; then enough for the formats and the usual strides, but for no stranger ones.
    for (const std::uint64_t most : {4096U, 40U << 10}) {
        const auto party = limited(most);
        INFO(most << " bytes: " << describe(party));
        CHECK(std::ranges::none_of(party.formats, [](const auto& c) { return c.state == ProbeState::bad; }));
        const auto* known = share::find_known(party, Need::offset);
        REQUIRE(known);
        CHECK(known->state == ProbeState::unprobeable);
        CHECK(contains(known->from, "could not be tried"));
    }
    CHECK(share::find_known(measured(client), Need::offset)->state == ProbeState::good);
}

TEST_CASE("a compositor that never answers, or ends the connection, ends the measuring") {
    FakeRules rules = with_dmabuf(3);
    const bool hangs = GENERATE(true, false);
    (hangs ? rules.answer_create : rules.error_on_create) = !hangs;
    FakeCompositor server(std::move(rules));
    Client client(server);
    const auto party = wl::dmabuf_requirements(
        *client.display, client.heaps, {.party = "bad", .deadline = Deadline::in(hangs ? 100ms : 10s)});
    REQUIRE_FALSE(party);
    CHECK(party.error().code == (hangs ? share::Code::timed_out : share::Code::disconnected));
}

TEST_CASE("devices that feedback names are told by one name for both nodes of a GPU") {
    CHECK(wl::device_node(0) == "");
    CHECK(wl::device_node(makedev(1, 3)) == "/dev/null");
}
