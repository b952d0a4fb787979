// SPDX-License-Identifier: MIT
// The proof of "shared": the consumer's mapping is the producer's pages.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <signal.h>

#include <cstring>
#include <filesystem>
#include <set>

#include "../bench/client.hpp"
#include "display_servers.hpp"
#include "pagemap.hpp"

using namespace integration;
using testing::Picture;
using testing::Rgb;

namespace {

/// Files that both processes have mapped and whose path contains `word`.
std::set<std::uint64_t> common_inodes(pid_t a, pid_t b, const std::string& word) {
    const auto inodes = [&](pid_t pid) {
        std::set<std::uint64_t> result;
        for (const auto& entry : testing::maps_of(pid))
            if (entry.permissions.ends_with('s') && entry.path.find(word) != std::string::npos)
                result.insert(entry.inode);
        return result;
    };
    std::set<std::uint64_t> common;
    const auto of_b = inodes(b);
    for (const auto inode : inodes(a))
        if (of_b.contains(inode)) common.insert(inode);
    return common;
}

struct Frames {
    std::size_t both = 0; ///< pages present in both page tables
    std::size_t same = 0; ///< of these, the same page frame
};

Frames compare_frames(pid_t a, pid_t b, std::uint64_t inode, const std::string& word) {
    Frames result;
    for (const auto& first : testing::maps_of_inode(a, inode, word)) {
        for (const auto& second : testing::maps_of_inode(b, inode, word)) {
            const std::uint64_t begin = std::max(first.offset, second.offset);
            const std::uint64_t end = std::min(first.offset + (first.end - first.begin),
                                               second.offset + (second.end - second.begin));
            if (begin >= end) continue;
            const auto x = testing::page_frames(a, first, begin, (end - begin) / 4096);
            const auto y = testing::page_frames(b, second, begin, (end - begin) / 4096);
            for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
                if (x[i] == 0 || y[i] == 0) continue;
                ++result.both;
                if (x[i] == y[i]) ++result.same;
            }
        }
    }
    return result;
}

void check_shared(pid_t producer, pid_t consumer, const std::string& word, std::size_t frame_bytes) {
    const auto common = common_inodes(producer, consumer, word);
    REQUIRE(common.size() == 1); // one file for the whole stream
    if (!testing::page_frames_visible()) {
        WARN("page frames were not compared: pagemap shows them to root (CAP_SYS_ADMIN) only");
        return;
    }
    Frames frames;
    testing::eventually([&] {
        frames = compare_frames(producer, consumer, *common.begin(), word);
        return frames.both * 4096 >= frame_bytes;
    });
    CHECK(frames.both * 4096 >= frame_bytes);
    CHECK(frames.same == frames.both);
}

} // namespace

TEST_CASE("the compositor's mapping of a frame is the producer's page frames", "[proof]") {
    Compositor compositor({.renderer = "pixman"});
    const std::string card = test_card(compositor.dir(), 640, 480);
    REQUIRE_FALSE(card.empty());
    testing::Process producer({.env = compositor.env(), .args = integration::producer({card})});
    const auto expected = decode_with_djpeg(compositor.dir(), card);
    if (!expected) SKIP("djpeg (libjpeg-turbo-progs) is not installed");
    std::optional<Picture> screen;
    testing::eventually([&] {
        screen = compositor.screenshot();
        return screen && testing::difference_at(*screen, 80, 60, *expected).largest <= 2;
    });
    REQUIRE(screen);
    CHECK(testing::difference_at(*screen, 80, 60, *expected).largest <= 2);
    check_shared(producer.pid(), compositor.process().pid(), "/memfd:", 640 * 480 * 4);
    producer.signal(SIGINT);
    CHECK(producer.wait(std::chrono::seconds(10)) == 0);
    CHECK(compositor.stop() == 0);
    const std::string said = compositor.process().err();
    CHECK(said.find("share-compositor: WAYLAND_DISPLAY=") == 0);
    CHECK(said.find('\n') == said.size() - 1); // its greeting and nothing else
}

TEST_CASE("the X server's mapping of a frame is the producer's page frames", "[proof][x11]") {
    if (!XServer::installed()) SKIP("Xvfb is not installed");
    XServer server;
    REQUIRE(server.running());
    const testing::TempDir dir;
    const std::string card = test_card(dir, 640, 480);
    testing::Process producer({.env = {"DISPLAY=" + server.display(), "WAYLAND_DISPLAY", "WAYLAND_SOCKET",
                                       "XDG_RUNTIME_DIR=" + dir.path().string()},
                               .args = integration::producer({"--display=x11", card})});
    REQUIRE(testing::eventually(
        [&] { return !common_inodes(producer.pid(), server.process().pid(), "/memfd:").empty(); }));
    check_shared(producer.pid(), server.process().pid(), "/memfd:", 640 * 480 * 4);
    producer.signal(SIGINT);
    CHECK(producer.wait(std::chrono::seconds(10)) == 0);
}

TEST_CASE("what the CPU writes to a released buffer shows when it is attached again, without a new import",
          "[proof]") {
    const auto [renderer, dmabuf] =
        GENERATE(table<std::string, bool>({{"pixman", false}, {"pixman", true}, {"gl", true}}));
    CAPTURE(renderer, dmabuf);
    Compositor compositor({.renderer = renderer, .width = 320, .height = 200});
    std::string why;
    auto client = bench::Client::create({compositor.socket(), 320, 200, true, dmabuf}, why);
    if (!client && renderer == "gl")
        SKIP("the gl renderer does not run here: " + why + " " + compositor.process().err());
    INFO(why);
    REQUIRE(client);

    const auto show = [&](int value) {
        auto bytes = client->next();
        REQUIRE_FALSE(bytes.empty());
        std::memset(bytes.data(), value, bytes.size());
        REQUIRE(client->present(0));
        const auto screen = compositor.screenshot();
        REQUIRE(screen);
        const auto v = static_cast<std::uint8_t>(value);
        CHECK(screen->at(5, 5) == Rgb{v, v, v});
        CHECK(screen->at(319, 199) == Rgb{v, v, v});
    };
    const auto fds = [&] {
        std::size_t count = 0;
        for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(
                 "/proc/" + std::to_string(compositor.process().pid()) + "/fd"))
            ++count;
        return count;
    };
    const auto memfd_maps = [&] {
        std::vector<std::uint64_t> begins;
        for (const auto& entry : testing::maps_of(compositor.process().pid()))
            if (entry.path.find("/memfd:bench") != std::string::npos) begins.push_back(entry.begin);
        return begins;
    };
    for (int i = 0; i < 6; ++i)
        show(10 + i);
    const auto fds_before = fds();
    const auto maps_before = memfd_maps();
    CHECK_FALSE(maps_before.empty());
    for (int i = 0; i < 12; ++i)
        show(100 + 7 * i);
    CHECK(fds() == fds_before);
    CHECK(memfd_maps() == maps_before);
}
