// SPDX-License-Identifier: MIT
#include "keyboard_wayland.hpp"

#include <unistd.h>

#include <string>

#include <xkbcommon/xkbcommon-keysyms.h>

namespace producer {

const wl_seat_listener Keyboard::seat_listener = {
    .capabilities = [](void* self, wl_seat*,
                       std::uint32_t bits) noexcept { static_cast<Keyboard*>(self)->capabilities(bits); },
    .name = [](void*, wl_seat*, const char*) noexcept {},
};

const wl_keyboard_listener Keyboard::keyboard_listener = {
    .keymap =
        [](void* self, wl_keyboard*, std::uint32_t format, int fd, std::uint32_t size) noexcept {
            static_cast<Keyboard*>(self)->keymap(share::UniqueFd(fd), format, size);
        },
    .enter = [](void*, wl_keyboard*, std::uint32_t, wl_surface*, wl_array*) noexcept {},
    .leave = [](void*, wl_keyboard*, std::uint32_t, wl_surface*) noexcept {},
    .key =
        [](void* self, wl_keyboard*, std::uint32_t, std::uint32_t, std::uint32_t code,
           std::uint32_t state) noexcept {
            if (state == WL_KEYBOARD_KEY_STATE_PRESSED) static_cast<Keyboard*>(self)->key(code);
        },
    .modifiers =
        [](void* self, wl_keyboard*, std::uint32_t, std::uint32_t depressed, std::uint32_t latched,
           std::uint32_t locked, std::uint32_t group) noexcept {
            auto* const state = static_cast<Keyboard*>(self)->state_.get();
            if (state) xkb_state_update_mask(state, depressed, latched, locked, 0, 0, group);
        },
    .repeat_info = [](void*, wl_keyboard*, std::int32_t, std::int32_t) noexcept {},
};

Keyboard::Keyboard(wl_seat* seat) : seat_(seat), context_(xkb_context_new(XKB_CONTEXT_NO_FLAGS)) {
    if (seat_) wl_seat_add_listener(seat_, &seat_listener, this);
}

Keyboard::~Keyboard() {
    drop_keyboard();
    if (!seat_) return;
    if (wl_seat_get_version(seat_) >= WL_SEAT_RELEASE_SINCE_VERSION)
        wl_seat_release(seat_);
    else
        wl_seat_destroy(seat_);
}

void Keyboard::drop_keyboard() noexcept {
    if (!keyboard_) return;
    if (wl_keyboard_get_version(keyboard_) >= WL_KEYBOARD_RELEASE_SINCE_VERSION)
        wl_keyboard_release(keyboard_);
    else
        wl_keyboard_destroy(keyboard_);
    keyboard_ = nullptr;
}

void Keyboard::capabilities(std::uint32_t bits) {
    const bool has = (bits & WL_SEAT_CAPABILITY_KEYBOARD) != 0;
    if (!has) drop_keyboard();
    if (!has || keyboard_) return;
    keyboard_ = wl_seat_get_keyboard(seat_);
    if (keyboard_) wl_keyboard_add_listener(keyboard_, &keyboard_listener, this);
}

void Keyboard::keymap(share::UniqueFd fd, std::uint32_t format, std::uint32_t size) {
    constexpr std::uint32_t largest = 4U << 20;
    if (format != WL_KEYBOARD_KEYMAP_FORMAT_XKB_V1 || size == 0 || size > largest || !context_) return;
    // Read, not mapped: a file that is shorter than the compositor says is then no SIGBUS.
    std::string text(size, '\0');
    const ssize_t got = pread(fd.get(), text.data(), text.size(), 0);
    if (got <= 0) return;
    text.resize(static_cast<std::size_t>(got));
    text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
    keymap_.reset(xkb_keymap_new_from_buffer(context_.get(), text.data(), text.size(),
                                             XKB_KEYMAP_FORMAT_TEXT_V1, XKB_KEYMAP_COMPILE_NO_FLAGS));
    state_.reset(keymap_ ? xkb_state_new(keymap_.get()) : nullptr);
}

void Keyboard::key(std::uint32_t code) {
    if (!state_) return;
    constexpr std::uint32_t evdev_to_xkb = 8;
    const auto symbol = xkb_state_key_get_one_sym(state_.get(), code + evdev_to_xkb);
    if (symbol == XKB_KEY_q || symbol == XKB_KEY_Escape) quit_ = true;
}

} // namespace producer
