// SPDX-License-Identifier: MIT
#include "wayland/utf8.hpp"

#include <cstdint>

namespace compositor::wayland {
namespace {

constexpr std::size_t max_bytes = 1024;

/// Bytes of the well-formed sequence at the front of `s`; 0 when there is none (Unicode, table 3-7).
std::size_t sequence_length(std::string_view s) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(s[i]); };
    const std::uint8_t first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                               : first >= 0xe0 && first <= 0xef ? 3
                               : first >= 0xf0 && first <= 0xf4 ? 4
                                                                : 0;
    if (length == 0 || s.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte(i) & 0xc0U) != 0x80) return 0;
    const std::uint8_t second = byte(1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return length;
}

} // namespace

std::string sanitized(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t length = sequence_length(text);
        std::string_view piece = length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length);
        const auto first = static_cast<std::uint8_t>(piece[0]);
        const bool control = first < 0x20 || first == 0x7f ||
                             (length == 2 && first == 0xc2 && static_cast<std::uint8_t>(piece[1]) < 0xa0);
        if (control) piece = " ";
        if (out.size() + piece.size() > max_bytes) break;
        out += piece;
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

} // namespace compositor::wayland
