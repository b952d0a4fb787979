// SPDX-License-Identifier: MIT
// The whole line on a real dma-buf: a JPEG is decoded into a udmabuf (/dev/udmabuf), which goes through
// linux-dmabuf to a compositor and is on its screen; nobody copied it, and both hold the same dma-buf.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "display_servers.hpp"
#include "open_files.hpp"
#include "pagemap.hpp"
#include "unchanged.hpp"

using namespace std::chrono_literals;
using integration::Compositor;
using nlohmann::json;
using testing::Picture;
using testing::Process;
using testing::Rgb;

namespace {

constexpr int width = 320, height = 200;

void need_devices() {
    if (!std::filesystem::exists("/dev/udmabuf")) FAIL("no /dev/udmabuf");
    if (!testing::have_program("djpeg")) SKIP("djpeg (libjpeg-turbo-progs) is not installed");
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 1); // its files are pages that would seem to be left behind
}

/// A 4x4 marker of XRGB8888 rows `stride` apart, around the pixel (x, y) of a picture at `offset`.
constexpr std::array marker{std::byte{0x33}, std::byte{0xee}, std::byte{0x77}, std::byte{0xff}};
constexpr Rgb marker_colour{0x77, 0xee, 0x33};
std::uint64_t pixel_offset(int x, int y) {
    return (static_cast<std::uint64_t>(y) * width + static_cast<std::uint64_t>(x)) * 4;
}
void write_marker(int fd, int x, int y) {
    for (int row = y; row < y + 4; ++row)
        for (int column = x; column < x + 4; ++column)
            testing::write_bytes(fd, pixel_offset(column, row), marker);
}
bool has_marker(const std::vector<std::byte>& bytes) {
    return std::equal(bytes.begin(), bytes.end(), marker.begin(), marker.end());
}

std::vector<json> lines_of(const std::string& text) {
    std::vector<json> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(json::parse(line));
    return lines;
}

/// The steps of one stage in all frames of a ledger.
std::vector<json> steps_of(const std::vector<json>& ledger, const std::string& stage) {
    std::vector<json> steps;
    for (const auto& line : ledger)
        if (line.at("type") == "frame")
            for (const auto& step : line.at("steps"))
                if (step.at("stage") == stage) steps.push_back(step);
    return steps;
}

/// The producer's ledger: everything by udmabuf, nothing copied.
void check_producer_ledger(const std::string& out) {
    const auto ledger = lines_of(out);
    REQUIRE_FALSE(ledger.empty());
    const auto& totals = ledger.back().at("totals");
    CHECK(totals.at("copied_by_us") == 0);
    CHECK(totals.at("copied_by_compositor") == 0);
    CHECK(totals.at("converted") == 0);
    CHECK(totals.at("frames_by_mechanism").at("udmabuf") == totals.at("frames"));
    const auto shared = steps_of(ledger, "share");
    REQUIRE_FALSE(shared.empty());
    for (const auto& step : shared) {
        CHECK(step.at("mechanism") == "udmabuf");
        CHECK(step.at("bytes_copied") == 0);
    }
}

/// The udmabuf that the producer made, and the same one in the consumer.
struct SharedDmabuf {
    testing::OpenFile at_producer, at_consumer, memfd;
};
SharedDmabuf shared_dmabuf(pid_t producer, pid_t consumer) {
    const auto theirs = testing::open_files(consumer, "/dmabuf:");
    for (const auto& file : testing::open_files(producer, "/dmabuf:"))
        for (const auto& other : theirs)
            if (other.inode == file.inode) {
                const auto memfds = testing::open_files(producer, "/memfd:share-producer");
                REQUIRE(memfds.size() == 1); // one file for the whole stream
                return {file, other, memfds[0]};
            }
    FAIL("no dma-buf is open in both processes");
    return {};
}

/// One dma-buf, mapped by the consumer; a marker written on each side is read on the other.
SharedDmabuf check_shared(pid_t producer, pid_t consumer) {
    const auto shared = shared_dmabuf(producer, consumer);
    const auto all = testing::all_dmabufs();
    CHECK(std::ranges::any_of(all, [&](const auto& info) {
        return info.inode == shared.at_producer.inode && info.exporter == "udmabuf";
    }));
    const auto mapped = testing::mapped_dmabufs(consumer);
    CHECK(std::ranges::find(mapped, shared.at_producer.inode) != mapped.end());

    const auto consumers_fd = testing::take_fd(consumer, shared.at_consumer.fd);
    const auto memfd = testing::take_fd(producer, shared.memfd.fd);
    testing::write_bytes(consumers_fd.get(), pixel_offset(5, 5), marker);
    const auto maps = testing::maps_of_inode(producer, shared.memfd.inode, "/memfd:");
    REQUIRE(maps.size() == 1);
    const auto seen = testing::read_of(producer, maps[0].begin + pixel_offset(5, 5), marker.size());
    REQUIRE(seen);
    CHECK(has_marker(*seen)); // by the producer's own mapping
    testing::write_bytes(memfd.get(), pixel_offset(9, 9), marker);
    CHECK(has_marker(testing::read_bytes(consumers_fd.get(), pixel_offset(9, 9), marker.size())));
    return shared;
}

std::optional<Picture> wait_for_picture(auto take, const Picture& expected, int x, int y) {
    std::optional<Picture> screen;
    testing::eventually(
        [&] {
            screen = take();
            return screen && testing::difference_at(*screen, x, y, expected).largest <= 2;
        },
        20s);
    return screen;
}

void end(Process& producer) {
    producer.signal(SIGINT);
    INFO(producer.err());
    CHECK(producer.wait(10s) == 0);
}

} // namespace

TEST_CASE(
    "a decoded picture is on share-compositor's screen in a udmabuf that both have, and nobody copied it") {
    need_devices();
    const auto renderer = GENERATE(std::string("gl"), std::string("pixman"));
    CAPTURE(renderer);
    const testing::Unchanged unchanged;
    Compositor compositor(
        {.renderer = renderer, .width = 2 * width, .height = 2 * height, .more = {"--explain=json"}});
    const auto card = integration::test_card(compositor.dir(), width, height);
    const auto expected = integration::decode_with_djpeg(compositor.dir(), card);
    REQUIRE(expected);
    Process producer({.env = compositor.env(), .args = integration::producer({"--explain=json", card})});
    const auto take = [&] { return compositor.screenshot(); };
    const auto screen = wait_for_picture(take, *expected, width / 2, height / 2);
    INFO(producer.err() << compositor.process().err());
    REQUIRE(screen);
    REQUIRE(testing::difference_at(*screen, width / 2, height / 2, *expected).largest <= 2);
    const auto shared = check_shared(producer.pid(), compositor.process().pid());

    // A marker in the middle is drawn from the buffer when another window over it goes away: no new import.
    const auto memfd = testing::take_fd(producer.pid(), shared.memfd.fd);
    write_marker(memfd.get(), width / 2, height / 2);
    const auto small = integration::test_card(compositor.dir(), 64, 40);
    const auto over =
        testing::run({.env = compositor.env(), .args = integration::producer({"--once", small})});
    REQUIRE(over.status == 0);
    CHECK(testing::eventually([&] {
        const auto now = take();
        return now && now->at(width + 1, height + 1) == marker_colour &&
               now->at(width + 12, height + 12) == screen->at(width + 12, height + 12);
    }));

    end(producer);
    check_producer_ledger(producer.out());
    CHECK(compositor.stop() == 0);
    const auto imports = steps_of(lines_of(compositor.process().out()), "import");
    REQUIRE_FALSE(imports.empty());
    for (const auto& step : imports) {
        CHECK(step.at("mechanism") == (renderer == "gl" ? "eglimage" : "map"));
        CHECK(step.at("bytes_copied") == 0);
    }
}

TEST_CASE("a udmabuf that covers share-compositor's output is the output's picture: no copy at all") {
    need_devices();
    const auto renderer = GENERATE(std::string("gl"), std::string("pixman"));
    CAPTURE(renderer);
    const testing::Unchanged unchanged;
    Compositor compositor(
        {.renderer = renderer, .width = width, .height = height, .more = {"--explain=json"}});
    const auto card = integration::test_card(compositor.dir(), width, height);
    const auto expected = integration::decode_with_djpeg(compositor.dir(), card);
    REQUIRE(expected);
    Process producer({.env = compositor.env(), .args = integration::producer({"--explain=json", card})});
    const auto take = [&] { return compositor.screenshot(); };
    const auto screen = wait_for_picture(take, *expected, 0, 0);
    REQUIRE(screen);
    REQUIRE(testing::difference_at(*screen, 0, 0, *expected).largest <= 2);
    const auto shared = check_shared(producer.pid(), compositor.process().pid());
    const auto memfd = testing::take_fd(producer.pid(), shared.memfd.fd);
    write_marker(memfd.get(), width / 2, height / 2);
    const auto marked = take();
    REQUIRE(marked);
    CHECK(marked->at(width / 2 + 1, height / 2 + 1) == marker_colour);

    end(producer);
    check_producer_ledger(producer.out());
    CHECK(compositor.stop() == 0);
    const auto ledger = lines_of(compositor.process().out());
    const auto presents = steps_of(ledger, "present");
    CHECK(std::ranges::any_of(presents, [](const auto& step) { return step.at("mechanism") == "scanout"; }));
    for (const auto& line : ledger)
        if (line.at("type") == "frame" && line.at("stream") != "output")
            for (const auto& step : line.at("steps"))
                CHECK(step.at("bytes_copied") == 0);
}

TEST_CASE("a decoded picture is on stock Weston's screen (gl) in a udmabuf that both have") {
    need_devices();
    for (const auto* program : {"weston", "weston-screenshooter", "unshare"})
        if (!testing::have_program(program)) SKIP(program << " is not installed");
    const testing::Unchanged unchanged;
    const testing::TempDir dir;
    // Without the DRM nodes: Mesa's software driver on one of them crashes Weston when it reads a dma-buf.
    Process weston({.env = {"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY", "DISPLAY"},
                    .args = {"unshare", "-m", "sh", "-c",
                             fmt::format("mount -t tmpfs none /dev/dri && exec weston --backend=headless "
                                         "--renderer=gl --width={} --height={} --no-config --idle-time=0 "
                                         "--shell=kiosk --socket=w --debug",
                                         width, height)}});
    REQUIRE(testing::eventually([&] { return std::filesystem::exists(dir / "w"); }));
    const std::vector<std::string> env{"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY=w",
                                       "WAYLAND_SOCKET", "DISPLAY"};
    const auto take = [&]() -> std::optional<Picture> {
        const testing::TempDir place;
        const auto done = testing::run(
            {.env = env,
             .args = {"sh", "-c", "cd " + place.path().string() + " && exec weston-screenshooter"}});
        for (const auto& entry : std::filesystem::directory_iterator(place.path()))
            if (done.status == 0) return testing::load_png(entry.path());
        return std::nullopt;
    };
    const auto card = integration::test_card(dir, width, height);
    const auto expected = integration::decode_with_djpeg(dir, card);
    REQUIRE(expected);
    Process producer({.env = env, .args = integration::producer({"--explain=json", card})});
    const auto screen = wait_for_picture(take, *expected, 0, 0);
    INFO(producer.err() << weston.err());
    REQUIRE(screen);
    CHECK(testing::difference_at(*screen, 0, 0, *expected).largest <= 2);
    check_shared(producer.pid(), weston.pid());
    end(producer);
    check_producer_ledger(producer.out());
    weston.signal(SIGTERM);
    CHECK(weston.wait(10s) == 0);
}
