// SPDX-License-Identifier: MIT
#include "proc.hpp"

namespace info {

namespace {

struct Character {
    char32_t code = 0;
    std::size_t length = 1; ///< in bytes
    bool good = false;
};

/// The first character of a text that is not empty. Source: RFC 3629.
Character first_of(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
    char32_t code = lead & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) return {};
        code = code << 6U | (byte(i) & 0x3fU);
    }
    constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < least[length] || code > 0x10ffff || surrogate) return {};
    return {code, length, true};
}

bool harmless(char32_t code) {
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false;
    if (code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e)) return false;
    return !(code >= 0x2066 && code <= 0x2069) && code != 0xfeff;
}

} // namespace

std::string clean(std::string_view text) {
    constexpr std::size_t most = 255;
    std::string result;
    while (!text.empty()) {
        const auto next = first_of(text);
        const auto shown = next.good && harmless(next.code) ? text.substr(0, next.length) : "?";
        if (result.size() + shown.size() > most) break;
        result += shown;
        text.remove_prefix(next.length);
    }
    return result;
}

} // namespace info
