// SPDX-License-Identifier: MIT
// How share-producer ends on an X server: keys, the close button, signals, and the server's death.
#include <X11/keysym.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "x_server.hpp"

using namespace testing;
using namespace std::chrono_literals;

namespace {

const std::string program = built("producer/share-producer");

/// Another client of the same server, which acts the user and the window manager.
class User {
public:
    explicit User(const std::string& display) : xcb_(xcb_connect(display.c_str(), nullptr)) {
        REQUIRE(xcb_connection_has_error(xcb_) == 0);
        auto* tree = xcb_query_tree_reply(
            xcb_, xcb_query_tree(xcb_, xcb_setup_roots_iterator(xcb_get_setup(xcb_)).data->root), nullptr);
        REQUIRE(tree != nullptr);
        if (xcb_query_tree_children_length(tree) == 1) window_ = *xcb_query_tree_children(tree);
        std::free(tree);
        REQUIRE(window_ != 0);
    }
    ~User() { xcb_disconnect(xcb_); }
    User(const User&) = delete;
    User& operator=(const User&) = delete;

    void press(xcb_keysym_t symbol) {
        xcb_key_press_event_t event{};
        event.response_type = XCB_KEY_PRESS;
        event.detail = code_of(symbol);
        event.event = window_;
        send(XCB_EVENT_MASK_KEY_PRESS, &event);
    }
    void close() {
        xcb_client_message_event_t event{};
        event.response_type = XCB_CLIENT_MESSAGE;
        event.format = 32;
        event.window = window_;
        event.type = atom("WM_PROTOCOLS");
        event.data.data32[0] = atom("WM_DELETE_WINDOW");
        send(0, &event);
    }

private:
    void send(std::uint32_t mask, const void* event) {
        xcb_send_event(xcb_, 0, window_, mask, static_cast<const char*>(event));
        std::free(xcb_get_input_focus_reply(xcb_, xcb_get_input_focus(xcb_), nullptr));
    }
    xcb_atom_t atom(const char* name) {
        auto* reply = xcb_intern_atom_reply(
            xcb_, xcb_intern_atom(xcb_, 0, static_cast<std::uint16_t>(std::strlen(name)), name), nullptr);
        const auto value = reply->atom;
        std::free(reply);
        return value;
    }
    xcb_keycode_t code_of(xcb_keysym_t symbol) {
        const auto* setup = xcb_get_setup(xcb_);
        const auto count = static_cast<std::uint8_t>(setup->max_keycode - setup->min_keycode + 1);
        auto* map = xcb_get_keyboard_mapping_reply(
            xcb_, xcb_get_keyboard_mapping(xcb_, setup->min_keycode, count), nullptr);
        const auto* first = xcb_get_keyboard_mapping_keysyms(map);
        const auto* last = first + xcb_get_keyboard_mapping_keysyms_length(map);
        const auto* at = std::find(first, last, symbol);
        const bool found = at != last;
        const auto code = setup->min_keycode + (at - first) / map->keysyms_per_keycode;
        std::free(map);
        REQUIRE(found);
        return static_cast<xcb_keycode_t>(code);
    }

    xcb_connection_t* xcb_;
    xcb_window_t window_ = 0;
};

struct Shown {
    TempDir dir;
    std::unique_ptr<XServer> server = XServer::start({});
    std::optional<Process> producer;

    explicit Shown(std::vector<std::string> arguments) {
        const auto card = dir / "card.jpg";
        REQUIRE(run({.args = {program, "--test-card=" + card, "--size=320x200"}}).status == 0);
        ProcessOptions options{.env = {"DISPLAY=" + server->display(), "WAYLAND_DISPLAY", "WAYLAND_SOCKET"},
                               .args = {program, "--display=x11", "--explain=json", card}};
        options.args.insert(options.args.end(), arguments.begin(), arguments.end());
        producer.emplace(std::move(options));
        REQUIRE(eventually([&] { return producer->out().find(R"("frame":1,)") != std::string::npos; }));
    }
};

} // namespace

TEST_CASE("on X11 q, Escape, the close button, SIGINT and SIGTERM end share-producer cleanly") {
    const auto how = GENERATE(as<std::string>(), "q", "Escape", "close", "SIGINT", "SIGTERM");
    const bool streaming = GENERATE(false, true);
    INFO(how << (streaming ? ", streaming" : ", a still picture"));
    Shown shown(streaming ? std::vector<std::string>{"--frames=100000000"} : std::vector<std::string>{});
    if (how == "q") User(shown.server->display()).press(XK_q);
    if (how == "Escape") User(shown.server->display()).press(XK_Escape);
    if (how == "close") User(shown.server->display()).close();
    if (how == "SIGINT") shown.producer->signal(SIGINT);
    if (how == "SIGTERM") shown.producer->signal(SIGTERM);
    CHECK(shown.producer->wait(10s) == 0);
    CHECK(shown.producer->err().empty());
    CHECK(shown.producer->out().find(R"("type":"summary")") != std::string::npos);
}

TEST_CASE("a key that means nothing leaves the picture where it is") {
    Shown shown({});
    User user(shown.server->display());
    user.press(XK_w);
    CHECK_FALSE(shown.producer->wait(300ms));
    user.press(XK_q);
    CHECK(shown.producer->wait(10s) == 0);
}

TEST_CASE("an X server that dies ends share-producer with status 1 and one line, and no SIGPIPE") {
    const bool streaming = GENERATE(false, true);
    INFO((streaming ? "streaming" : "a still picture"));
    Shown shown(streaming ? std::vector<std::string>{"--frames=100000000"} : std::vector<std::string>{});
    shown.server->signal(SIGKILL);
    CHECK(shown.producer->wait(20s) == 1);
    const auto said = shown.producer->err();
    INFO(said);
    CHECK(std::ranges::count(said, '\n') == 1);
}
