// SPDX-License-Identifier: MIT
#include <share/x11/window.hpp>

#include <X11/keysym.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include <fmt/format.h>

namespace share::x11 {

namespace {

constexpr std::uint32_t max_extent = 32767; // window sizes and positions are signed 16 bit on the wire

void set_text(xcb_connection_t* xcb, xcb_window_t window, xcb_atom_t property, xcb_atom_t type,
              const std::string& text) {
    xcb_change_property(xcb, XCB_PROP_MODE_REPLACE, window, property, type, 8,
                        static_cast<std::uint32_t>(text.size()), text.data());
}

/// True when a window manager that speaks EWMH runs on this screen.
Result<bool> has_window_manager(Connection& connection, Deadline deadline) {
    auto atom = connection.atom("_NET_SUPPORTING_WM_CHECK", deadline);
    if (!atom) return std::move(atom).error();
    const auto cookie =
        xcb_get_property(connection.xcb(), 0, connection.screen().root, *atom, XCB_ATOM_WINDOW, 0, 1);
    auto property =
        connection.reply<xcb_get_property_reply_t>(cookie, "looking for a window manager", deadline);
    if (!property) return std::move(property).error();
    return xcb_get_property_value_length(property->get()) == 4;
}

} // namespace

Window::Window(std::shared_ptr<Connection> connection, xcb_window_t id)
    : connection_(std::move(connection)), id_(id) {
    connection_->add_sink(*this);
}

Window::~Window() {
    connection_->remove_sink(*this);
    if (!destroyed_ && connection_->check()) {
        xcb_destroy_window(connection_->xcb(), id_);
        (void)connection_->flush(Deadline::in(std::chrono::milliseconds(100)));
    }
}

Result<std::unique_ptr<Window>> Window::create(std::shared_ptr<Connection> connection,
                                               const WindowOptions& options, Deadline deadline) {
    if (auto ok = connection->check(); !ok) return std::move(ok).error();
    if (options.width == 0 || options.height == 0 || options.width > max_extent ||
        options.height > max_extent)
        return make_error(Code::limit,
                          fmt::format("creating an X window of {}x{} pixels", options.width, options.height),
                          "an X window has 1 to 32767 pixels each way");
    auto* xcb = connection->xcb();
    std::unique_ptr<Window> window(new Window(connection, xcb_generate_id(xcb)));
    if (auto ok = window->set_up(options, deadline); !ok) return std::move(ok).error();
    return window;
}

Result<void> Window::set_up(const WindowOptions& options, Deadline deadline) {
    auto* xcb = connection_->xcb();
    const auto& screen = connection_->screen();
    auto managed = has_window_manager(*connection_, deadline);
    if (!managed) return std::move(managed).error();
    const bool cover = options.fullscreen && !*managed;
    width_ = cover ? screen.width_in_pixels : options.width;
    height_ = cover ? screen.height_in_pixels : options.height;

    const std::array<std::uint32_t, 2> values = {screen.black_pixel, XCB_EVENT_MASK_EXPOSURE |
                                                                         XCB_EVENT_MASK_STRUCTURE_NOTIFY |
                                                                         XCB_EVENT_MASK_KEY_PRESS};
    const auto made = xcb_create_window_checked(
        xcb, XCB_COPY_FROM_PARENT, id_, screen.root, 0, 0, static_cast<std::uint16_t>(width_),
        static_cast<std::uint16_t>(height_), 0, XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT,
        XCB_CW_BACK_PIXEL | XCB_CW_EVENT_MASK, values.data());
    if (auto ok = connection_->confirm(made, "creating an X window", deadline); !ok) {
        destroyed_ = true;
        return ok;
    }

    std::array<xcb_atom_t, 6> atoms{};
    constexpr std::array<const char*, 6> names = {"WM_PROTOCOLS",  "WM_DELETE_WINDOW",
                                                  "_NET_WM_NAME",  "UTF8_STRING",
                                                  "_NET_WM_STATE", "_NET_WM_STATE_FULLSCREEN"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        auto atom = connection_->atom(names[i], deadline);
        if (!atom) return std::move(atom).error();
        atoms[i] = *atom;
    }
    wm_protocols_ = atoms[0];
    wm_delete_window_ = atoms[1];
    xcb_change_property(xcb, XCB_PROP_MODE_REPLACE, id_, atoms[0], XCB_ATOM_ATOM, 32, 1, &atoms[1]);
    set_text(xcb, id_, XCB_ATOM_WM_NAME, XCB_ATOM_STRING, options.title);
    set_text(xcb, id_, atoms[2], atoms[3], options.title);
    set_text(xcb, id_, XCB_ATOM_WM_CLASS, XCB_ATOM_STRING,
             options.app_class + '\0' + options.app_class + '\0');
    if (options.fullscreen)
        xcb_change_property(xcb, XCB_PROP_MODE_REPLACE, id_, atoms[4], XCB_ATOM_ATOM, 32, 1, &atoms[5]);

    if (auto ok = load_keys(deadline); !ok) return ok;
    xcb_map_window(xcb, id_);
    return connection_->flush(deadline);
}

// Read once: a keyboard that is remapped while we run keeps the keys it had.
Result<void> Window::load_keys(Deadline deadline) {
    auto* xcb = connection_->xcb();
    const auto* setup = xcb_get_setup(xcb);
    const auto count = static_cast<std::uint8_t>(setup->max_keycode - setup->min_keycode + 1);
    auto map = connection_->reply<xcb_get_keyboard_mapping_reply_t>(
        xcb_get_keyboard_mapping(xcb, setup->min_keycode, count), "reading the keyboard's mapping", deadline);
    if (!map) return std::move(map).error();
    const auto* symbols = xcb_get_keyboard_mapping_keysyms(map->get());
    const std::size_t per_code = (*map)->keysyms_per_keycode;
    if (per_code == 0) return {}; // no keyboard
    const std::size_t total = static_cast<std::size_t>(xcb_get_keyboard_mapping_keysyms_length(map->get()));
    for (std::size_t i = 0; i < total; ++i) {
        if (symbols[i] != XK_q && symbols[i] != XK_Escape) continue;
        const auto code = static_cast<xcb_keycode_t>(setup->min_keycode + i / per_code);
        if (std::find(close_keys_.begin(), close_keys_.end(), code) == close_keys_.end())
            close_keys_.push_back(code);
    }
    return {};
}

void Window::handle(const xcb_generic_event_t& event) {
    switch (event.response_type & 0x7f) {
    case XCB_EXPOSE: {
        const auto& e = reinterpret_cast<const xcb_expose_event_t&>(event);
        if (e.window != id_) return;
        mapped_ = true;
        exposed_.push_back({e.x, e.y, e.width, e.height});
        break;
    }
    case XCB_CONFIGURE_NOTIFY: {
        const auto& e = reinterpret_cast<const xcb_configure_notify_event_t&>(event);
        if (e.window != id_ || (e.width == width_ && e.height == height_)) return;
        width_ = e.width;
        height_ = e.height;
        resized_ = true;
        break;
    }
    case XCB_KEY_PRESS: {
        const auto& e = reinterpret_cast<const xcb_key_press_event_t&>(event);
        if (e.event == id_ &&
            std::find(close_keys_.begin(), close_keys_.end(), e.detail) != close_keys_.end())
            close_requested_ = true;
        break;
    }
    case XCB_CLIENT_MESSAGE: {
        const auto& e = reinterpret_cast<const xcb_client_message_event_t&>(event);
        if (e.window == id_ && e.type == wm_protocols_ && e.format == 32 &&
            e.data.data32[0] == wm_delete_window_)
            close_requested_ = true;
        break;
    }
    case XCB_DESTROY_NOTIFY: {
        const auto& e = reinterpret_cast<const xcb_destroy_notify_event_t&>(event);
        if (e.window == id_) destroyed_ = close_requested_ = true;
        break;
    }
    default:
        break;
    }
}

std::vector<Rect> Window::take_exposed() noexcept {
    return std::exchange(exposed_, {});
}
bool Window::take_resized() noexcept {
    return std::exchange(resized_, false);
}

Result<void> Window::wait_mapped(Deadline deadline) {
    while (!mapped_) {
        if (auto ok = connection_->wait_event(deadline); !ok) return ok;
    }
    return {};
}

} // namespace share::x11
