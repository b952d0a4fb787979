// SPDX-License-Identifier: MIT
// A server that dies, stops or was never there: an error within the deadline, and nothing held.
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "stream.hpp"

using Catch::Matchers::ContainsSubstring;
using namespace testing;
using share::Code;
using share::Deadline;
using share::x11::Connection;
using share::x11::Path;
using namespace std::chrono_literals;

TEST_CASE("a server killed in mid-stream gives disconnected, for every path and every wait") {
    signal(SIGPIPE, SIG_IGN);
    for (const Path path : {Path::fd, Path::sysv, Path::socket}) {
        INFO(share::x11::to_string(path));
        const auto fds = count_fds();
        const auto segments = count_sysv_segments();
        {
            auto server = XServer::start({});
            share::x11::SwapchainOptions options;
            options.path = path;
            Stream stream(server->display(), options);
            REQUIRE(stream.frame(1));
            REQUIRE(stream.swapchain->wait_shown(soon()));
            server->signal(SIGKILL);
            REQUIRE(server->process().wait(10s));
            share::Result<void> result;
            for (std::uint32_t i = 0; i < 10 && result; ++i) {
                result = stream.frame(i);
                if (result) result = stream.swapchain->wait_paced(soon());
            }
            REQUIRE_FALSE(result);
            CHECK(result.error().code == Code::disconnected);
            CHECK(stream.swapchain->wait_shown(soon()).error().code == Code::disconnected);
            CHECK(stream.swapchain->acquire(soon()).error().code == Code::disconnected);
            CHECK(stream.swapchain->repaint({0, 0, 10, 10}).error().code == Code::disconnected);
            CHECK(stream.connection->wait_event(soon()).error().code == Code::disconnected);
            CHECK(stream.swapchain->in_flight() == 0);
        }
        CHECK(count_fds() == fds);
        CHECK(eventually([&] { return count_sysv_segments() == segments; }));
    }
}

TEST_CASE("a server that stops gives timed_out, and the stream goes on when it continues") {
    struct Case {
        bool tcp;
        Path path;
    };
    for (const Case& c : {Case{false, Path::fd}, Case{false, Path::sysv}, Case{false, Path::socket},
                          Case{true, Path::socket}}) {
        INFO(share::x11::to_string(c.path) << (c.tcp ? " over TCP" : ""));
        auto server = XServer::start({.tcp = c.tcp});
        share::x11::SwapchainOptions options;
        options.path = c.path;
        options.send_timeout = 200ms;
        Stream stream(server->display(), options);
        REQUIRE(stream.frame(1));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        server->signal(SIGSTOP);
        // The socket takes some frames before it is full.
        share::Result<void> result;
        for (std::uint32_t i = 0; i < 1000 && result; ++i) {
            auto image = stream.swapchain->acquire(Deadline::in(200ms));
            result = image ? stream.swapchain->present(std::move(*image), {}, {})
                           : share::Result<void>(image.error());
        }
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Code::timed_out);
        CHECK(stream.swapchain->wait_shown(Deadline::in(100ms)).error().code == Code::timed_out);
        CHECK(stream.connection->roundtrip(Deadline::in(100ms)).error().code == Code::timed_out);
        server->signal(SIGCONT);
        REQUIRE(stream.swapchain->wait_shown(soon()));
        REQUIRE(stream.frame(5));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        const auto format = stream.swapchain->layout().format();
        CHECK(shown(server->display(), stream.window->id(), format) ==
              expected(format, stream_width, stream_height, 5));
    }
}

TEST_CASE("connecting to a stopped server times out") {
    auto server = XServer::start({});
    const auto fds = count_fds();
    server->signal(SIGSTOP);
    auto connection = Connection::open(server->display(), Deadline::in(200ms));
    REQUIRE_FALSE(connection);
    CHECK(connection.error().code == Code::timed_out);
    CHECK(count_fds() == fds);
    server->signal(SIGCONT);
    CHECK(Connection::open(server->display(), soon()));
}

TEST_CASE("connecting to a socket whose owner never answers times out, even when its queue is full") {
    TempDir dir;
    const std::string path = dir / "X7";
    share::UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listener.get(), 0) == 0);
    const auto fds = count_fds();
    for (int i = 0; i < 3; ++i) {
        auto connection = Connection::open(path, Deadline::in(100ms));
        REQUIRE_FALSE(connection);
        INFO(connection.error().text());
        CHECK(connection.error().code == Code::timed_out);
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("without a file descriptor to spare connecting is refused, and never waits unwatched") {
    TempDir dir;
    const std::string path = dir / "X8";
    share::UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listener.get(), 4) == 0);
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const share::UniqueFd next(dup(listener.get()));
    // The socket gets the last number and the watchdog's duplicate none.
    const rlimit tight{static_cast<rlim_t>(next.get()) + 2, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    auto connection = Connection::open(path, Deadline::in(500ms));
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE_FALSE(connection);
    INFO(connection.error().text());
    CHECK(connection.error().code == Code::limit);
}

TEST_CASE("a display that is not there says what was tried") {
    const auto open_text = [](const std::string& display) {
        auto connection = Connection::open(display, soon());
        return connection
                   ? "opened"
                   : std::string(share::to_string(connection.error().code)) + " " + connection.error().text();
    };
    CHECK_THAT(open_text(":4711"),
               ContainsSubstring("unavailable") && ContainsSubstring("/tmp/.X11-unix/X4711"));
    CHECK_THAT(open_text("127.0.0.1:4711"),
               ContainsSubstring("unavailable") && ContainsSubstring("port 10711"));
    // Not port 464: the number of a port has 16 bits.
    CHECK_THAT(open_text("127.0.0.1:60000"),
               ContainsSubstring("invalid_argument") && ContainsSubstring("59535"));
    CHECK_THAT(open_text("127.0.0.1:2147483647"), ContainsSubstring("invalid_argument"));
    CHECK_THAT(open_text(":-1"), ContainsSubstring("invalid_argument"));
    CHECK_THAT(open_text("nonsense"), ContainsSubstring("invalid_argument") && ContainsSubstring("nonsense"));
    const char* env = std::getenv("DISPLAY");
    const std::string saved = env ? env : "";
    unsetenv("DISPLAY");
    CHECK_THAT(open_text(""), ContainsSubstring("unavailable") && ContainsSubstring("DISPLAY is not set"));
    if (env) setenv("DISPLAY", saved.c_str(), 1);
}

TEST_CASE("a screen that the server does not have is refused") {
    auto server = XServer::start({});
    auto connection = Connection::open(server->display() + ".3", soon());
    REQUIRE_FALSE(connection);
    CHECK(connection.error().code == Code::invalid_argument);
}

TEST_CASE("a broken connection is not borrowed") {
    xcb_connection_t* broken = xcb_connect(":4711", nullptr);
    auto connection = Connection::borrow(broken, 0);
    REQUIRE_FALSE(connection);
    CHECK(connection.error().code == Code::disconnected);
    xcb_disconnect(broken);
}

TEST_CASE("a borrowed connection carries a stream and is left open") {
    auto server = XServer::start({});
    int screen = 0;
    xcb_connection_t* own = xcb_connect(server->display().c_str(), &screen);
    {
        auto connection = Connection::borrow(own, screen);
        REQUIRE(connection);
        CHECK((*connection)->passes_fds());
        CHECK((*connection)->roundtrip(soon()));
    }
    CHECK(xcb_connection_has_error(own) == 0);
    xcb_disconnect(own);
}
