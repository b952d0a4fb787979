// SPDX-License-Identifier: MIT
// Device: vivid. share-producer camera:vivid on share-compositor.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <signal.h>

#include <filesystem>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "display_servers.hpp"
#include "unchanged.hpp"
#include "vivid.hpp"

using namespace testing;
using namespace std::chrono_literals;

namespace {

struct Told {
    std::set<std::uint32_t> moves; ///< what the bars of the frames that it presented must have
    nlohmann::json summary;
};

Told read_ledger(const std::string& output) {
    Told told;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
        const auto value = nlohmann::json::parse(line, nullptr, false);
        if (value.is_discarded()) continue; // still being written
        if (value.at("type") == "summary") told.summary = value;
        if (value.at("type") != "frame") continue;
        unsigned sequence = 0;
        const std::string reason = value.at("steps").at(0).at("reason");
        REQUIRE(std::sscanf(reason.c_str(), "vivid wrote frame %u ", &sequence) == 1);
        told.moves.insert(expected_move(sequence));
    }
    return told;
}

} // namespace

TEST_CASE("share-producer shows a camera's frames in the buffers that the driver wrote",
          "[vm][vivid][screen]") {
    const auto [heap, renderer] = GENERATE(table<std::string, std::string>(
        {{"udmabuf", "pixman"}, {"dma-heap:system", "pixman"}, {"driver", "pixman"}, {"udmabuf", "gl"}}));
    CAPTURE(heap, renderer);
    const Unchanged unchanged;
    (void)vivid(); // its controls stay as they were set
    integration::Compositor compositor({.renderer = renderer,
                                        .width = static_cast<int>(vivid_width),
                                        .height = static_cast<int>(vivid_height)});
    if (!std::filesystem::exists(compositor.socket()))
        SKIP("share-compositor does not start: " + compositor.process().err());
    {
        Process producer({.env = compositor.env(),
                          .args = integration::producer({"--size=640x360", "--fullscreen", "--explain=json",
                                                         "--heap=" + heap, "camera:vivid"})});
        std::set<std::uint32_t> seen;
        REQUIRE(eventually(
            [&] {
                const auto screen = compositor.screenshot();
                const auto at = screen ? moved(*screen, 5) : std::nullopt;
                if (!at) return false; // nothing is on it yet
                // The compositor may be quicker than the ledger's line.
                CHECK(eventually([&] { return read_ledger(producer.out()).moves.contains(*at); }));
                seen.insert(*at);
                return seen.size() >= 4;
            },
            40s));
        producer.signal(SIGINT);
        CHECK(producer.wait(20s) == 0);
        INFO(producer.err());
        const auto told = read_ledger(producer.out());
        REQUIRE(told.summary.contains("totals"));
        const auto& totals = told.summary.at("totals");
        CHECK(totals.at("copied_by_us") == 0);
        CHECK(totals.at("converted") == 0);
        CHECK(totals.at("frames_by_mechanism").at("device") == totals.at("frames"));
        CHECK(totals.at("frames_by_mechanism").at(heap == "udmabuf" ? "udmabuf" : "dmabuf") ==
              totals.at("frames"));
        CHECK(producer.err().empty());
    }
    CHECK(compositor.stop() == 0);
}

TEST_CASE("share-producer ends after the frames it was asked for, and when the camera is unplugged",
          "[vm][vivid][screen]") {
    const Unchanged unchanged;
    integration::Compositor compositor({});
    REQUIRE(std::filesystem::exists(compositor.socket()));
    SECTION("frames") {
        const auto done =
            run({.env = compositor.env(),
                 .args = integration::producer({"--frames=5", "--explain=json", "camera:vivid"})});
        INFO(done.err);
        CHECK(done.status == 0);
        CHECK(read_ledger(done.out).summary.at("totals").at("frames") == 5);
    }
    SECTION("unplugged") {
        auto device = vivid();
        Process producer({.env = compositor.env(),
                          .args = integration::producer({"--explain=json", "camera:" + device.info().path})});
        REQUIRE(eventually([&] { return read_ledger(producer.out()).moves.size() > 2; }, 20s));
        REQUIRE(device.set_control("Disconnect", 1));
        CHECK(producer.wait(20s) == 1);
        CHECK(producer.err().find("unplugged") != std::string::npos);
    }
    SECTION("busy") {
        auto device = vivid();
        const auto heaps = share::HeapTable::probe();
        const auto camera = vivid_camera(heaps, vivid_options());
        REQUIRE(camera->start());
        const auto done =
            run({.env = compositor.env(), .args = integration::producer({"--once", "camera:vivid"})});
        CHECK(done.status == 1);
        CHECK(done.err.find("somebody streams") != std::string::npos);
    }
    CHECK(compositor.stop() == 0);
}
