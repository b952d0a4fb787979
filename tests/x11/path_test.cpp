// SPDX-License-Identifier: MIT
// Each way into the window, what it says of itself, and what the window then shows.
#include <cstring>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "stream.hpp"

using Catch::Matchers::ContainsSubstring;
using namespace testing;
using share::By;
using share::Mechanism;
using share::x11::Path;

namespace {

constexpr std::uint64_t frame_bytes = std::uint64_t{stream_width} * stream_height * 4;

/// Two frames by a path: the window shows the last one, pixel by pixel, and the ledger has the copies.
void show_and_compare(XServer& server, Path path, Mechanism mechanism) {
    share::x11::SwapchainOptions options;
    options.path = path;
    Stream stream(server.display(), options);
    CHECK(stream.swapchain->path() == mechanism);
    const auto format = stream.swapchain->layout().format();
    for (const std::uint32_t seed : {1U, 2U, 3U, 4U, 5U}) {
        REQUIRE(stream.frame(seed));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        CHECK(shown(server.display(), stream.window->id(), format) ==
              expected(format, stream_width, stream_height, seed));
    }
    const auto& totals = stream.ledger.totals();
    CHECK(totals.frames == 5);
    if (mechanism == Mechanism::x_socket) {
        CHECK(totals.copied_by_us == 5 * frame_bytes);
        CHECK(totals.copied_by_server == 10 * frame_bytes);
    } else {
        CHECK(totals.copied_by_us == 0);
        CHECK(totals.copied_by_server == 5 * frame_bytes);
    }
}

} // namespace

TEST_CASE("a server with MIT-SHM 1.2 takes the memfd itself") {
    auto server = XServer::start({});
    show_and_compare(*server, Path::automatic, Mechanism::mit_shm_fd);
}

TEST_CASE("a SysV segment is taken when the fd path is ruled out, and nothing of it remains") {
    auto server = XServer::start({});
    const auto before = count_sysv_segments();
    show_and_compare(*server, Path::sysv, Mechanism::mit_shm_sysv);
    CHECK(eventually([&] { return count_sysv_segments() == before; }));
}

TEST_CASE("the socket shows the same picture") {
    auto server = XServer::start({});
    show_and_compare(*server, Path::socket, Mechanism::x_socket);
}

TEST_CASE("without the heap for fds the SysV path is taken and the heap's reason is told") {
    auto server = XServer::start({});
    Stream stream(server->display());
    share::HeapTable only_sysv;
    auto probed = share::HeapTable::probe();
    for (auto& entry : const_cast<std::vector<share::HeapTable::Entry>&>(probed.entries())) {
        if (entry.name != "memfd")
            only_sysv.add(std::move(entry));
        else
            only_sysv.add({"memfd", nullptr,
                           share::make_error(share::Code::unavailable, "making a memfd", "taken away")});
    }
    share::Ledger ledger("test");
    share::x11::SwapchainOptions options;
    options.width = options.height = 16;
    auto chain = share::x11::X11Swapchain::create(stream.connection, stream.window->id(), only_sysv, ledger,
                                                  options, soon());
    REQUIRE(chain);
    CHECK((*chain)->path() == Mechanism::mit_shm_sysv);
    CHECK_THAT(notes(ledger, "mit-shm-fd"), ContainsSubstring("taken away"));
}

TEST_CASE("a server without MIT-SHM gets the pixels through the socket, and the reason is told") {
    auto server = XServer::start({.args = {"-extension", "MIT-SHM"}});
    show_and_compare(*server, Path::automatic, Mechanism::x_socket);
    Stream stream(server->display());
    CHECK_THAT(notes(stream.ledger, "mit-shm-fd"), ContainsSubstring("does not have the extension"));
    CHECK_THAT(notes(stream.ledger, "mit-shm-sysv"), ContainsSubstring("does not have the extension"));
}

TEST_CASE("over TCP the pixels go through the socket, and the reason is told") {
    auto server = XServer::start({.tcp = true});
    show_and_compare(*server, Path::automatic, Mechanism::x_socket);
    Stream stream(server->display());
    CHECK_THAT(notes(stream.ledger, "mit-shm-fd"), ContainsSubstring("TCP"));
}

TEST_CASE("a path that was asked for and cannot be had is an error with the reason") {
    auto server = XServer::start({.args = {"-extension", "MIT-SHM"}});
    Stream stream(server->display());
    for (const Path path : {Path::fd, Path::sysv}) {
        share::x11::SwapchainOptions options;
        options.width = options.height = 16;
        options.path = path;
        auto chain = share::x11::X11Swapchain::create(stream.connection, stream.window->id(), stream.heaps,
                                                      stream.ledger, options, soon());
        REQUIRE_FALSE(chain);
        CHECK(chain.error().code == share::Code::unsupported);
        CHECK_THAT(chain.error().text(), ContainsSubstring("MIT-SHM"));
    }
}

TEST_CASE("an image larger than a request is split, whatever the path") {
    auto server = XServer::start({.screen = "2000x1500x24"});
    for (const Path path : {Path::fd, Path::sysv, Path::socket}) {
        share::x11::SwapchainOptions options;
        options.path = path;
        options.width = 1999;
        options.height = 1499;
        Stream stream(server->display(), options);
        REQUIRE(stream.frame(7));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        auto shot = look(server->display(), stream.window->id(), 1999, 1499);
        for (std::size_t i = 3; i < shot.pixels.size(); i += 4)
            shot.pixels[i] = 0;
        CHECK(shot.pixels == expected(stream.swapchain->layout().format(), 1999, 1499, 7));
    }
}

TEST_CASE("depths 16, 24 and 30 are shown as they stand, each by every path") {
    struct Case {
        const char* screen;
        share::Fourcc format;
    };
    for (const Case& c :
         {Case{"640x480x16", share::format::rgb565}, Case{"640x480x24", share::format::xrgb8888},
          Case{"640x480x30", share::format::xrgb2101010}}) {
        auto server = XServer::start({.screen = c.screen});
        for (const Path path : {Path::fd, Path::sysv, Path::socket}) {
            INFO(c.screen << " by " << share::x11::to_string(path));
            share::x11::SwapchainOptions options;
            options.path = path;
            Stream stream(server->display(), options);
            CHECK(stream.swapchain->layout().format() == c.format);
            REQUIRE(stream.frame(9));
            REQUIRE(stream.swapchain->wait_shown(soon()));
            CHECK(shown(server->display(), stream.window->id(), c.format) ==
                  expected(c.format, stream_width, stream_height, 9));
        }
    }
}

TEST_CASE("pictures in XRGB8888 are converted for windows of other depths, and the ledger says so") {
    for (const char* screen : {"640x480x16", "640x480x30"}) {
        auto server = XServer::start({.screen = screen});
        share::x11::SwapchainOptions options;
        options.formats = {share::format::xrgb8888};
        Stream stream(server->display(), options);
        REQUIRE(stream.swapchain->layout().format() == share::format::xrgb8888);
        auto image = stream.swapchain->acquire(soon());
        REQUIRE(image);
        {
            auto mapping = image->buffer->map(share::Access::write, soon());
            REQUIRE(mapping);
            for (std::uint32_t y = 0; y < stream_height; ++y)
                for (std::uint32_t x = 0; x < stream_width; ++x) {
                    const std::uint8_t pixel[4] = {0x80, 0xff, static_cast<std::uint8_t>(x), 0};
                    std::memcpy(mapping->row(0, y).data() + x * 4, pixel, 4);
                }
        }
        REQUIRE(stream.swapchain->present(std::move(*image), {}, {}));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        const bool deep = std::string(screen).ends_with("30");
        const auto format = deep ? share::format::xrgb2101010 : share::format::rgb565;
        const auto pixels = shown(server->display(), stream.window->id(), format);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < std::size_t{stream_width} * stream_height; ++i) {
            const auto x = static_cast<std::uint8_t>(i % stream_width);
            const auto scale = [](double v, double top) {
                return static_cast<std::uint32_t>(v * top / 255 + 0.5);
            };
            std::uint32_t v = 0;
            std::memcpy(&v, &pixels[i * (deep ? 4 : 2)], deep ? 4 : 2);
            const int top = deep ? 1023 : 31;
            const auto red = deep ? v >> 20 : v >> 11, green = deep ? (v >> 10) & 1023 : (v >> 5) & 63,
                       blue = v & static_cast<unsigned>(top);
            // 8 to 10 bits by repeating the high bits may differ from rounding by one.
            const auto near = [](std::uint32_t a, std::uint32_t b) {
                return a == b || a + 1 == b || a == b + 1;
            };
            wrong +=
                !near(red, scale(x, top)) || green != (deep ? 1023U : 63U) || !near(blue, scale(0x80, top));
        }
        CHECK(wrong == 0);
        CHECK(stream.ledger.totals().converted ==
              std::uint64_t{stream_width} * stream_height * (deep ? 4 : 2));
        CHECK_FALSE(notes(stream.ledger, "convert").empty());
    }
}

TEST_CASE("a window of a palette visual is refused with its visual named") {
    auto server = XServer::start({.screen = "640x480x8"});
    auto connection = share::x11::Connection::open(server->display(), soon());
    REQUIRE(connection);
    auto window = share::x11::Window::create(*connection, {}, soon());
    REQUIRE(window);
    auto format = share::x11::window_format(**connection, (*window)->id(), soon());
    REQUIRE_FALSE(format);
    CHECK(format.error().code == share::Code::unsupported);
    CHECK_THAT(format.error().text(), ContainsSubstring("depth 8"));
}
