// SPDX-License-Identifier: MIT
// A server that breaks the protocol's promises: refused or timed out, never waited for or believed.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "stream.hpp"

using Catch::Matchers::ContainsSubstring;
using namespace testing;
using share::Code;
using share::Deadline;
using share::x11::Connection;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t setup_bytes = sizeof(xcb_setup_t) + sizeof(xcb_format_t) + sizeof(xcb_screen_t) +
                                    sizeof(xcb_depth_t) + sizeof(xcb_visualtype_t);

/// What the server says of itself, beside one screen of one visual.
struct Words {
    std::uint16_t max_request = 65535;
    std::uint8_t scanline_pad = 32;
};

std::vector<std::byte> setup_of(const Words& words) {
    xcb_setup_t head{};
    head.status = 1;
    head.protocol_major_version = 11;
    head.length = static_cast<std::uint16_t>((setup_bytes - 8) / 4);
    head.resource_id_mask = 0x1fffff;
    head.maximum_request_length = words.max_request;
    head.roots_len = 1;
    head.pixmap_formats_len = 1;
    head.min_keycode = 8;
    head.max_keycode = 255;
    xcb_format_t format{};
    format.depth = 24;
    format.bits_per_pixel = 32;
    format.scanline_pad = words.scanline_pad;
    xcb_screen_t screen{};
    screen.root = 1;
    screen.root_visual = 2;
    screen.root_depth = 24;
    screen.allowed_depths_len = 1;
    xcb_depth_t depth{};
    depth.depth = 24;
    depth.visuals_len = 1;
    xcb_visualtype_t visual{};
    visual.visual_id = 2;
    visual._class = XCB_VISUAL_CLASS_TRUE_COLOR;
    visual.red_mask = 0xff0000;
    visual.green_mask = 0xff00;
    visual.blue_mask = 0xff;
    std::vector<std::byte> bytes;
    const auto put = [&](const auto& part) {
        const auto* at = reinterpret_cast<const std::byte*>(&part);
        bytes.insert(bytes.end(), at, at + sizeof part);
    };
    put(head), put(format), put(screen), put(depth), put(visual);
    return bytes;
}

/// Answers the set-up and then does what the test says, on a thread of its own.
class FakeServer {
public:
    using Then = std::function<void(int fd, const std::atomic<bool>& stop)>;
    FakeServer(const Words& words, Then then) {
        int pair[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        ours_.reset(pair[0]);
        thread_ = std::thread([this, words, then = std::move(then)] {
            std::array<std::byte, 256> request{};
            if (read(ours_.get(), request.data(), request.size()) < 12) return;
            const auto setup = setup_of(words);
            if (send(ours_.get(), setup.data(), setup.size(), MSG_NOSIGNAL) < 0) return;
            then(ours_.get(), stop_);
        });
        xcb_ = xcb_connect_to_fd(pair[1], nullptr);
        connection = Connection::borrow(xcb_, 0);
    }
    ~FakeServer() {
        connection = share::make_error(Code::io, "", "");
        stop_ = true;
        xcb_disconnect(xcb_);
        shutdown(ours_.get(), SHUT_RDWR);
        thread_.join();
    }
    share::Result<std::shared_ptr<Connection>> connection = share::make_error(Code::io, "", "");

private:
    share::UniqueFd ours_;
    std::atomic<bool> stop_{false};
    xcb_connection_t* xcb_ = nullptr;
    std::thread thread_;
};

/// Events for ever, and no answer to anything.
void flood(int fd, const std::atomic<bool>& stop) {
    xcb_expose_event_t event{};
    event.response_type = XCB_EXPOSE;
    event.window = 99;
    while (!stop && send(fd, &event, sizeof event, MSG_NOSIGNAL) > 0) {
    }
}

} // namespace

TEST_CASE("a server that sends events without end and never an answer gives timed_out") {
    FakeServer server({}, flood);
    REQUIRE(server.connection);
    auto& connection = **server.connection;
    auto answer = connection.roundtrip(Deadline::in(200ms));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Code::timed_out);
}

TEST_CASE("a server that sends replies without end and never an event gives timed_out") {
    FakeServer server({}, [](int fd, const std::atomic<bool>& stop) {
        xcb_get_input_focus_reply_t reply{};
        std::array<std::byte, 32> packet{};
        reply.response_type = 1;
        std::memcpy(packet.data(), &reply, sizeof reply);
        while (!stop && send(fd, packet.data(), packet.size(), MSG_NOSIGNAL) > 0)
            usleep(100);
    });
    REQUIRE(server.connection);
    auto event = (*server.connection)->wait_event(Deadline::in(200ms));
    REQUIRE_FALSE(event);
    CHECK(event.error().code == Code::timed_out);
}

TEST_CASE("a server whose largest request is below the protocol's least is refused") {
    FakeServer server({.max_request = 1}, [](int, const std::atomic<bool>&) {});
    REQUIRE_FALSE(server.connection);
    CHECK(server.connection.error().code == Code::unsupported);
    CHECK_THAT(server.connection.error().text(), ContainsSubstring("4096"));
}

TEST_CASE("a server that pads rows to a number of bits that X11 does not know is refused") {
    FakeServer server({.scanline_pad = 0}, [](int fd, const std::atomic<bool>&) {
        xcb_get_window_attributes_reply_t attributes{};
        attributes.response_type = 1;
        attributes.sequence = 1;
        attributes.length = 3;
        attributes.visual = 2;
        xcb_get_geometry_reply_t geometry{};
        geometry.response_type = 1;
        geometry.sequence = 2;
        geometry.depth = 24;
        std::array<std::byte, 44 + 32> both{};
        std::memcpy(both.data(), &attributes, 44);
        std::memcpy(both.data() + 44, &geometry, sizeof geometry);
        // The requests first: a reply to what was not asked breaks the connection.
        std::array<std::byte, 256> requests{};
        for (ssize_t have = 0, n = 0; have < 16; have += n)
            if ((n = read(fd, requests.data(), requests.size())) <= 0) return;
        (void)send(fd, both.data(), both.size(), MSG_NOSIGNAL);
    });
    REQUIRE(server.connection);
    auto format = share::x11::window_format(**server.connection, 7, soon());
    REQUIRE_FALSE(format);
    CHECK(format.error().code == Code::unsupported);
    CHECK_THAT(format.error().text(), ContainsSubstring("pads rows to 0 bits"));
}
