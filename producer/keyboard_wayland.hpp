// SPDX-License-Identifier: MIT
// Keyboard: tells when q or Escape was pressed on a Wayland seat. Borrows nothing; destroyed before the
// Display whose queue it uses. Source: wayland.xml (wl_seat, wl_keyboard), xkbcommon.
#pragma once

#include <wayland-client.h>
#include <xkbcommon/xkbcommon.h>

#include <cstdint>
#include <memory>

#include <share/unique_fd.hpp>

namespace producer {

class Keyboard {
public:
    /// Takes the seat (version 1 to 5); null: there is no keyboard.
    explicit Keyboard(wl_seat* seat);
    ~Keyboard();
    Keyboard(const Keyboard&) = delete;
    Keyboard& operator=(const Keyboard&) = delete;
    bool quit() const noexcept { return quit_; }

private:
    struct XkbUnref {
        void operator()(xkb_context* p) const noexcept { xkb_context_unref(p); }
        void operator()(xkb_keymap* p) const noexcept { xkb_keymap_unref(p); }
        void operator()(xkb_state* p) const noexcept { xkb_state_unref(p); }
    };
    static const wl_seat_listener seat_listener;
    static const wl_keyboard_listener keyboard_listener;
    void capabilities(std::uint32_t bits);
    void keymap(share::UniqueFd fd, std::uint32_t format, std::uint32_t size);
    void key(std::uint32_t code);
    void drop_keyboard() noexcept;

    wl_seat* seat_;
    wl_keyboard* keyboard_ = nullptr;
    std::unique_ptr<xkb_context, XkbUnref> context_;
    std::unique_ptr<xkb_keymap, XkbUnref> keymap_;
    std::unique_ptr<xkb_state, XkbUnref> state_;
    bool quit_ = false;
};

} // namespace producer
