// SPDX-License-Identifier: MIT
// share-producer on X servers that offer less and less: fd passing, no MIT-SHM, a TCP connection. The picture
// is read from the server's own framebuffer file, without asking the server.
#include <catch2/catch_test_macros.hpp>

#include <signal.h>

#include <array>
#include <fstream>

#include <fmt/format.h>

#include "display_servers.hpp"

using namespace integration;

namespace {

/// The XWD file that Xvfb keeps with -fbdir: a big-endian header, colours, then the pixels as the server has
/// them (X.Org's XWDFile.h).
std::optional<testing::Picture> framebuffer(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    std::array<unsigned char, 100> header{};
    if (!in.read(reinterpret_cast<char*>(header.data()), header.size())) return std::nullopt;
    const auto word = [&](std::size_t i) {
        return static_cast<unsigned>(header[4 * i]) << 24 | static_cast<unsigned>(header[4 * i + 1]) << 16 |
               static_cast<unsigned>(header[4 * i + 2]) << 8 | header[4 * i + 3];
    };
    testing::Picture picture{static_cast<int>(word(4)), static_cast<int>(word(5)), {}};
    const std::size_t stride = word(12);
    in.seekg(static_cast<std::streamoff>(word(0) + word(19) * 12));
    std::vector<unsigned char> row(stride);
    for (int y = 0; y < picture.height; ++y) {
        if (!in.read(reinterpret_cast<char*>(row.data()), static_cast<std::streamsize>(stride)))
            return std::nullopt;
        for (std::size_t x = 0; x < static_cast<std::size_t>(picture.width); ++x)
            picture.pixels.push_back({row[4 * x + 2], row[4 * x + 1], row[4 * x]});
    }
    return picture;
}

void check_path(std::vector<std::string> arguments, bool tcp, const std::string& path,
                const std::string& reason) {
    if (!XServer::installed()) SKIP("Xvfb is not installed");
    const testing::TempDir dir;
    arguments.insert(arguments.end(), {"-fbdir", dir.path().string()});
    XServer server(arguments);
    REQUIRE(server.running());
    const std::string card = test_card(dir, 800, 600);
    const auto expected = decode_with_djpeg(dir, card);
    if (!expected) SKIP("djpeg (libjpeg-turbo-progs) is not installed");
    const std::string display = tcp ? "127.0.0.1" + server.display() : server.display();
    testing::Process producer({.env = {"DISPLAY=" + display, "WAYLAND_DISPLAY", "WAYLAND_SOCKET"},
                               .args = integration::producer({"--display=x11", "--explain=json", card})});
    testing::Difference difference;
    testing::eventually([&] {
        if (const auto screen = framebuffer(dir / "Xvfb_screen0"))
            difference = testing::difference_at(*screen, 0, 0, *expected);
        return difference.largest <= 2 || !producer.running();
    });
    CHECK(difference.largest <= 2);
    producer.signal(SIGTERM);
    CHECK(producer.wait(std::chrono::seconds(10)) == 0);
    INFO(producer.out() << producer.err());
    CHECK(producer.out().find(fmt::format("\"mechanism\":\"{}\"", path)) != std::string::npos);
    CHECK(producer.out().find(reason) != std::string::npos);
}

} // namespace

TEST_CASE("with MIT-SHM the server gets the stream's memfd and copies each frame once", "[x11]") {
    check_path({}, false, "mit-shm-fd",
               fmt::format("\"copied_by_us\":0,\"copied_by_server\":{}", 800 * 600 * 4));
}

TEST_CASE("without the MIT-SHM extension the frame goes through the socket, and the ledger says why",
          "[x11]") {
    check_path({"-extension", "MIT-SHM"}, false, "x-socket", "MIT-SHM");
}

TEST_CASE("over TCP the frame goes through the socket, and the ledger says why", "[x11]") {
    check_path({"-listen", "tcp", "-ac"}, true, "x-socket", "mit-shm-fd");
}
