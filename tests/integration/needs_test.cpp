// SPDX-License-Identifier: MIT
// What real compositors take: share-compositor and Weston, each with both renderers.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include <share/measure.hpp>
#include <share/wayland_client/requirements.hpp>

#include "display_servers.hpp"
#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;
namespace wl = share::wayland_client;

namespace {

/// Of the whole machine, where the kernel tells (as root, in the test VM).
std::size_t count_dmabufs() {
    std::ifstream file("/sys/kernel/debug/dma_buf/bufinfo");
    std::size_t lines = 0;
    for (std::string line; std::getline(file, line);)
        ++lines;
    return lines;
}

/// Of the compositor at that socket, after which it still answers, and holds nothing more than before.
void measure(const std::string& socket, bool dmabuf) {
    const auto fds = testing::count_fds();
    {
        auto display = wl::Display::connect(Deadline::in(20s), socket);
        if (!display) FAIL(display.error().text());
        const auto heaps = HeapTable::probe();
        const auto dmabufs = count_dmabufs(); // it answers, so it has made its own
        const auto shm = wl::shm_requirements(**display);
        REQUIRE(shm);
        CHECK(std::ranges::any_of(shm->formats, [](const FormatChoice& choice) {
            return choice.pair == FormatModifier{format::xrgb8888, modifier::linear};
        }));
        const auto party = wl::dmabuf_requirements(**display, heaps, {.deadline = Deadline::in(20s)});
        if (!dmabuf) {
            CHECK_FALSE(party);
        } else {
            if (!party) FAIL(party.error().text());
            INFO(describe(*party));
            const auto xrgb = std::ranges::find_if(party->formats, [](const FormatChoice& choice) {
                return choice.pair.format == format::xrgb8888 && choice.state == ProbeState::good;
            });
            CHECK(xrgb != party->formats.end());
            CHECK(party->handles != Exports::none);
            CHECK(find_known(*party, Need::stride)->state == ProbeState::good);
            CHECK(find_known(*party, Need::offset)->state == ProbeState::good);
            CHECK(contains(party->handles, Exports::dmabuf) == heaps.find("udmabuf").ok());
        }
        CHECK((*display)->sync(Deadline::in(20s)));
        CHECK(testing::eventually([&] { return count_dmabufs() <= dmabufs; }));
    }
    CHECK(testing::count_fds() == fds);
}

} // namespace

TEST_CASE("share-compositor's needs are measured, by both renderers") {
    const std::string renderer = GENERATE("pixman", "gl");
    CAPTURE(renderer);
    integration::Compositor compositor({.renderer = renderer, .width = 64, .height = 64});
    if (!std::filesystem::exists(compositor.socket()))
        SKIP("share-compositor does not start: " + compositor.process().err());
    measure(compositor.socket(), true);
    CHECK(compositor.stop() == 0);
}

TEST_CASE("Weston's needs are measured: with gl by linux-dmabuf, with pixman by wl_shm alone") {
    if (!testing::have_program("weston")) SKIP("weston is not installed");
    const std::string renderer = GENERATE("gl", "pixman");
    CAPTURE(renderer);
    testing::TempDir dir;
    testing::Process weston(
        {.env = {"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY", "DISPLAY"},
         .args = {"weston", "--backend=headless", "--renderer=" + renderer, "--no-config", "--idle-time=0",
                  "--shell=kiosk", "--width=64", "--height=64", "--socket=share-test"},
         .keep_fds = {}});
    if (!testing::eventually([&] { return std::filesystem::exists(dir.path() / "share-test"); }))
        SKIP("weston does not start here: " + weston.err());
    measure(dir / "share-test", renderer == "gl");
    weston.signal(SIGTERM);
    CHECK(weston.wait(10s));
}
