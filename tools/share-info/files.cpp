// SPDX-License-Identifier: MIT
#include "files.hpp"

#include <sys/sysmacros.h>

#include <charconv>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace info {

std::optional<std::string> read_text(const std::string& path) {
    std::ifstream file(path);
    if (!file) return std::nullopt;
    std::string text(65536, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad()) return std::nullopt;
    text.resize(static_cast<std::size_t>(file.gcount()));
    text.erase(text.find_last_not_of(" \n\t") + 1);
    return text;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
    const auto text = read_text(path);
    std::uint64_t number = 0;
    if (!text || text->empty()) return std::nullopt;
    const char* const end = text->data() + text->size();
    const auto [last, error] = std::from_chars(text->data(), end, number);
    return error == std::errc{} && last == end ? std::optional(number) : std::nullopt;
}

std::string device_text(dev_t device) {
    const auto numbers = fmt::format("{}:{}", major(device), minor(device));
    std::istringstream uevent(read_text("/sys/dev/char/" + numbers + "/uevent").value_or(""));
    for (std::string line; std::getline(uevent, line);)
        if (line.starts_with("DEVNAME=")) return fmt::format("{} /dev/{}", numbers, line.substr(8));
    return numbers;
}

} // namespace info
