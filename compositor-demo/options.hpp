// SPDX-License-Identifier: MIT
// Options: the command line of share-compositor, checked.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace compositor {

enum class Explain : unsigned char { no, table, json };

struct Options {
    int width = 1280, height = 720;
    int refresh_mhz = 60'000; ///< 0: repaint as soon as there is damage
    std::string renderer = "auto";
    std::string screenshot; ///< empty: none
    std::string socket;     ///< empty: the first free wayland-N
    Explain explain = Explain::no;
    std::vector<std::string> command;
};

/// The program is to end at once: with this text and status.
struct Exit {
    int status = 0;
    std::string text;
};

std::variant<Options, Exit> parse_options(int argc, const char* const* argv);

/// "1920x1080"; nothing when it is not that, or beyond 1..16384.
std::optional<std::pair<int, int>> parse_size(const std::string& text);
/// "59.94" as 59940 mHz; nothing when it is no number from 0.001 to 10000 and not 0.
std::optional<int> parse_refresh(const std::string& text);

} // namespace compositor
