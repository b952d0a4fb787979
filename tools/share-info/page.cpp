// SPDX-License-Identifier: MIT
#include "page.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace info {

namespace {

constexpr std::size_t column = 20, right_edge = 110;

/// How many bytes of `text` go on a line of `room`: up to a space where there is one.
std::size_t fitting(std::string_view text, std::size_t room) {
    if (text.size() <= room) return text.size();
    const auto space = text.rfind(' ', room);
    return space == text.npos || space == 0 ? std::min(text.find(' '), text.size()) : space;
}

} // namespace

void Page::heading(std::string_view name) {
    if (!text_.empty()) text_ += '\n';
    text_ += fmt::format("{}\n", name);
}

void Page::line(std::string_view label, std::string_view text) {
    put(2, label, text);
}

void Page::detail(std::string_view label, std::string_view text) {
    put(4, label, text);
}

void Page::no(std::string_view label, const Json& part) {
    line(label, "no: " + reason_of(part));
}

void Page::put(std::size_t indent, std::string_view label, std::string_view text) {
    std::string head = fmt::format("{:{}}{}", "", indent, label);
    if (head.size() + 1 > column) {
        text_ += head + '\n';
        head.clear();
    }
    do {
        const auto size = fitting(text, right_edge - column);
        text_ += fmt::format("{:{}}{}\n", head, column, text.substr(0, size));
        text.remove_prefix(size);
        if (text.starts_with(' ')) text.remove_prefix(1);
        head.clear();
    } while (!text.empty());
}

std::string bytes_text(std::uint64_t bytes) {
    constexpr std::array units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 16384) return fmt::format("{} bytes", bytes);
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < units.size(); ++unit)
        value /= 1024;
    const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
    return whole ? fmt::format("{:.0f} {}", value, units[unit])
                 : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string limit_text(const Json& limit) {
    return limit.is_number() ? bytes_text(limit.get<std::uint64_t>()) : "no limit";
}

std::string plain(const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string format_name(const Json& fourcc) {
    auto name = plain(fourcc);
    name.erase(name.find_last_not_of(' ') + 1);
    return name;
}

std::string pairs_text(const Json& pairs) {
    std::vector<std::pair<std::string, std::string>> groups; // modifier and formats, in order of appearance
    for (const auto& pair : pairs) {
        const auto modifier = plain(pair.at("modifier"));
        auto group = std::find_if(groups.begin(), groups.end(), [&](auto& g) { return g.first == modifier; });
        if (group == groups.end()) group = groups.insert(groups.end(), {modifier, ""});
        group->second += format_name(pair.at("format")) + " ";
    }
    std::string text;
    for (const auto& [modifier, formats] : groups)
        text += fmt::format("{}{}({})", text.empty() ? "" : "; ", formats, modifier);
    return text;
}

} // namespace info
