// SPDX-License-Identifier: MIT
// The window helper: how the user ends it, resizes, fullscreen, and properties that other clients read.
#include <X11/keysym.h>

#include <cstdlib>
#include <cstring>

#include <catch2/catch_test_macros.hpp>

#include "stream.hpp"

using namespace testing;
using share::x11::Connection;
using share::x11::Window;

namespace {

/// Another client of the same server.
struct Other {
    explicit Other(const std::string& display) : xcb(xcb_connect(display.c_str(), nullptr)) {
        REQUIRE(xcb_connection_has_error(xcb) == 0);
    }
    ~Other() { xcb_disconnect(xcb); }
    void sync() { std::free(xcb_get_input_focus_reply(xcb, xcb_get_input_focus(xcb), nullptr)); }
    xcb_atom_t atom(const char* name) {
        auto* reply = xcb_intern_atom_reply(
            xcb, xcb_intern_atom(xcb, 0, static_cast<std::uint16_t>(strlen(name)), name), nullptr);
        const auto value = reply->atom;
        std::free(reply);
        return value;
    }
    xcb_keycode_t code_of(xcb_keysym_t symbol) {
        const auto* setup = xcb_get_setup(xcb);
        auto* map = xcb_get_keyboard_mapping_reply(
            xcb,
            xcb_get_keyboard_mapping(xcb, setup->min_keycode,
                                     static_cast<std::uint8_t>(setup->max_keycode - setup->min_keycode + 1)),
            nullptr);
        const auto* symbols = xcb_get_keyboard_mapping_keysyms(map);
        xcb_keycode_t found = 0;
        for (int i = 0; i < xcb_get_keyboard_mapping_keysyms_length(map) && found == 0; ++i)
            if (symbols[i] == symbol)
                found = static_cast<xcb_keycode_t>(setup->min_keycode + i / map->keysyms_per_keycode);
        std::free(map);
        return found;
    }
    xcb_connection_t* xcb;
};

std::unique_ptr<Window> make(const std::shared_ptr<Connection>& connection, bool fullscreen = false) {
    share::x11::WindowOptions options;
    options.title = "Bild \xc3\xa4";
    options.fullscreen = fullscreen;
    options.width = 320;
    options.height = 200;
    auto window = Window::create(connection, options, soon());
    REQUIRE(window);
    REQUIRE((*window)->wait_mapped(soon()));
    return std::move(*window);
}

bool closed(Connection& connection, const Window& window) {
    return eventually([&] {
        REQUIRE(connection.dispatch(soon()));
        return window.close_requested();
    });
}

} // namespace

TEST_CASE("the close button, q, Escape and a destroyed window ask to close, other keys do not") {
    auto server = XServer::start({});
    auto connection = Connection::open(server->display(), soon());
    REQUIRE(connection);
    Other other(server->display());
    const auto press = [&](Window& window, xcb_keysym_t symbol) {
        xcb_key_press_event_t event{};
        event.response_type = XCB_KEY_PRESS;
        event.detail = other.code_of(symbol);
        REQUIRE(event.detail != 0);
        event.event = window.id();
        xcb_send_event(other.xcb, 0, window.id(), XCB_EVENT_MASK_KEY_PRESS,
                       reinterpret_cast<const char*>(&event));
        other.sync();
    };
    {
        auto window = make(*connection);
        press(*window, XK_w);
        REQUIRE((*connection)->roundtrip(soon()));
        REQUIRE((*connection)->dispatch(soon()));
        CHECK_FALSE(window->close_requested());
        press(*window, XK_q);
        CHECK(closed(**connection, *window));
    }
    {
        auto window = make(*connection);
        press(*window, XK_Escape);
        CHECK(closed(**connection, *window));
    }
    {
        auto window = make(*connection);
        xcb_client_message_event_t event{};
        event.response_type = XCB_CLIENT_MESSAGE;
        event.format = 32;
        event.window = window->id();
        event.type = other.atom("WM_PROTOCOLS");
        event.data.data32[0] = other.atom("WM_DELETE_WINDOW");
        xcb_send_event(other.xcb, 0, window->id(), 0, reinterpret_cast<const char*>(&event));
        other.sync();
        CHECK(closed(**connection, *window));
    }
    {
        auto window = make(*connection);
        xcb_destroy_window(other.xcb, window->id());
        other.sync();
        CHECK(closed(**connection, *window));
    }
}

TEST_CASE("a resize is told once, with the new size") {
    auto server = XServer::start({});
    auto connection = Connection::open(server->display(), soon());
    REQUIRE(connection);
    auto window = make(*connection);
    CHECK_FALSE(window->take_resized());
    Other other(server->display());
    const std::uint32_t size[] = {111, 77};
    xcb_configure_window(other.xcb, window->id(), XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT, size);
    other.sync();
    CHECK(eventually([&] {
        REQUIRE((*connection)->dispatch(soon()));
        return window->take_resized();
    }));
    CHECK(window->width() == 111);
    CHECK(window->height() == 77);
    CHECK_FALSE(window->take_resized());
}

TEST_CASE("without a window manager a fullscreen window takes the screen's size") {
    auto server = XServer::start({});
    auto connection = Connection::open(server->display(), soon());
    REQUIRE(connection);
    auto window = make(*connection, true);
    CHECK(window->width() == 640);
    CHECK(window->height() == 480);
}

TEST_CASE("title, class and fullscreen wish can be read by a window manager") {
    if (!have_program("xprop")) SKIP("xprop is not installed");
    auto server = XServer::start({});
    auto connection = Connection::open(server->display(), soon());
    REQUIRE(connection);
    auto window = make(*connection, true);
    REQUIRE((*connection)->roundtrip(soon()));
    auto said = run({.env = {"LC_ALL=C.UTF-8"},
                     .args = {"xprop", "-display", server->display(), "-id", std::to_string(window->id())}});
    INFO(said.out << said.err);
    CHECK(said.out.find("Bild \xc3\xa4") != std::string::npos);
    CHECK(said.out.find("WM_CLASS(STRING) = \"libshare\"") != std::string::npos);
    CHECK(said.out.find("_NET_WM_STATE_FULLSCREEN") != std::string::npos);
    CHECK(said.out.find("WM_DELETE_WINDOW") != std::string::npos);
}

TEST_CASE("a window larger than the protocol can say is refused") {
    auto server = XServer::start({});
    auto connection = Connection::open(server->display(), soon());
    REQUIRE(connection);
    for (const std::uint32_t width : {0U, 32768U}) {
        share::x11::WindowOptions options;
        options.width = width;
        auto window = Window::create(*connection, options, soon());
        REQUIRE_FALSE(window);
        CHECK(window.error().code == share::Code::limit);
    }
}
