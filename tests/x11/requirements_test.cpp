// SPDX-License-Identifier: MIT
// What a real X server takes, measured on it.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>

#include <share/accounting.hpp>
#include <share/candidate.hpp>
#include <share/measure.hpp>
#include <share/x11/requirements.hpp>

#include "process.hpp"
#include "x_server.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<x11::Connection> connect(const testing::XServer& server) {
    auto connection = x11::Connection::open(server.display(), Deadline::in(10s));
    if (!connection) FAIL(connection.error().text());
    return *connection;
}

Result<Requirements> measure(x11::Connection& connection, const HeapTable& heaps,
                             x11::Use use = x11::Use::put, Deadline deadline = Deadline::in(10s)) {
    return x11::requirements_of(connection, connection.screen().root, heaps,
                                {.party = "X", .use = use, .width = 33, .height = 17, .deadline = deadline});
}

} // namespace

TEST_CASE("an X server's needs are measured: rows of its padding, any first pixel, every kind of memory") {
    struct Screen {
        const char* text;
        Fourcc format;
    };
    const auto screen =
        GENERATE(Screen{"640x480x24", format::xrgb8888}, Screen{"640x480x16", format::rgb565});
    const auto server = testing::XServer::start({.screen = screen.text});
    const auto connection = connect(*server);
    const auto heaps = HeapTable::probe();
    const auto segments = testing::count_sysv_segments();
    const auto party = measure(*connection, heaps);
    if (!party) FAIL(party.error().text());
    INFO(describe(*party));
    REQUIRE(party->formats.size() == 1);
    CHECK(party->formats[0].pair == FormatModifier{screen.format, modifier::linear});
    CHECK(party->formats[0].state == ProbeState::good);
    CHECK(party->stride_align == 4); // 32 bits: what Xvfb pads rows to at both depths
    CHECK(party->offset_align == 4); // the server's own rule, whatever the size of a pixel
    CHECK(party->height_align == 1);
    CHECK(party->max_width == 32767);
    CHECK(contains(party->handles, Exports::memfd | Exports::sysv));
    CHECK(contains(party->handles, Exports::dmabuf) == heaps.find("udmabuf").ok());
    CHECK(party->uses_cpu());
    for (const Need need :
         {Need::stride, Need::offset, Need::height_padding, Need::handle, Need::max_picture}) {
        const auto* known = find_known(*party, need);
        REQUIRE(known);
        INFO(to_string(need) << ": " << known->from);
        CHECK(known->state == ProbeState::good);
    }
    CHECK(testing::count_sysv_segments() == segments);
}

TEST_CASE("a pixmap in shared memory has the server's own stride, and begins at any pixel") {
    const auto server = testing::XServer::start({.screen = "640x480x24"});
    const auto connection = connect(*server);
    const auto party = measure(*connection, HeapTable::probe(), x11::Use::pixmap);
    if (!party) FAIL(party.error().text());
    INFO(describe(*party));
    CHECK(party->min_width == 33);
    CHECK(party->max_width == 33);
    CHECK(party->stride_align == 4);
    CHECK(party->max_stride == 132);
    CHECK(party->offset_align == 4);
    CHECK(find_known(*party, Need::offset)->state == ProbeState::good);
    const auto layout = Layout::linear(33, 17, format::xrgb8888, {4, 4, 1, 1});
    REQUIRE(layout);
    CHECK_FALSE(unmet(*party, *layout));
    const auto wide = Layout::linear(33, 17, format::xrgb8888, {64, 4, 1, 1});
    REQUIRE(wide);
    CHECK(unmet(*party, *wide) == Need::max_stride);
}

TEST_CASE("measuring an X server leaves no fd behind, neither here nor there") {
    const auto server = testing::XServer::start({});
    const auto connection = connect(*server);
    const auto heaps = HeapTable::probe();
    REQUIRE(measure(*connection, heaps));
    const auto ours = testing::count_fds();
    const auto theirs = [&] {
        const auto list = testing::run(
            {.env = {}, .args = {"ls", "/proc/" + std::to_string(server->pid()) + "/fd"}, .keep_fds = {}});
        return std::count(list.out.begin(), list.out.end(), '\n');
    };
    const auto before = theirs();
    REQUIRE(measure(*connection, heaps));
    CHECK(testing::count_fds() == ours);
    CHECK(theirs() == before);
}

TEST_CASE("an X server without MIT-SHM is no party, and one that hangs ends at the deadline") {
    const auto without = testing::XServer::start({.args = {"-extension", "MIT-SHM"}});
    const auto connection = connect(*without);
    const auto none = measure(*connection, HeapTable::probe());
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::unsupported);

    const auto server = testing::XServer::start({});
    const auto other = connect(*server);
    server->signal(SIGSTOP);
    const auto hung = measure(*other, HeapTable::probe(), x11::Use::put, Deadline::in(100ms));
    server->signal(SIGCONT);
    REQUIRE_FALSE(hung);
    CHECK(hung.error().code == Code::timed_out);
}

TEST_CASE("memory that we cannot make says nothing about an X server, and is not kept in the cache") {
    const auto server = testing::XServer::start({});
    const auto connection = connect(*server);
    const auto heaps = HeapTable::probe();
    testing::TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    const auto measured = [&](MemoryLimits limits) {
        set_memory_limits(limits);
        auto party = x11::requirements_of(*connection, connection->screen().root, heaps,
                                          {.deadline = Deadline::in(10s), .cache = &cache});
        set_memory_limits({});
        if (!party) FAIL(party.error().text());
        return *std::move(party);
    };
    // Enough for small pictures, not for the longest.
    const auto without = measured({.total_bytes = 64U << 10});
    INFO(describe(without));
    CHECK(find_known(without, Need::max_picture)->state == ProbeState::unprobeable);
    CHECK(find_known(without, Need::max_picture)->from.find("could not be tried") != std::string::npos);
    CHECK(find_known(measured({}), Need::max_picture)->state == ProbeState::good);
    CHECK(find_known(measured({.total_bytes = 64U << 10}), Need::max_picture)->state == ProbeState::good);
}

TEST_CASE("what was measured of an X server is kept, but for the kinds of memory") {
    const auto server = testing::XServer::start({});
    const auto connection = connect(*server);
    testing::TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    const auto measure_with = [&](const HeapTable& heaps) {
        auto party = x11::requirements_of(*connection, connection->screen().root, heaps,
                                          {.deadline = Deadline::in(10s), .cache = &cache});
        if (!party) FAIL(party.error().text());
        return *party;
    };
    const auto first = measure_with(HeapTable::probe());
    // Only the file can say this.
    const std::string marker = " (as the file has it)", from = find_known(first, Need::offset)->from;
    std::ifstream in(cache.path());
    std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    std::ofstream(cache.path()) << text.insert(at + from.size(), marker);
    HeapTable sysv;
    auto all = HeapTable::probe();
    for (auto& entry : const_cast<std::vector<HeapTable::Entry>&>(all.entries()))
        if (entry.name == "sysv") sysv.add(std::move(entry));
    const auto second = measure_with(sysv);
    CHECK(second.stride_align == first.stride_align);
    CHECK(find_known(second, Need::offset)->from == find_known(first, Need::offset)->from + marker);
    CHECK(contains(first.handles, Exports::memfd));
    CHECK(second.handles == Exports::sysv);
}
