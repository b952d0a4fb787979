// SPDX-License-Identifier: MIT
// The command line of xshm-bridge. Usage errors are one line and exit status 2.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <share/x11/swapchain.hpp>

namespace bridge {

enum class Explain : std::uint8_t { no, table, json };

struct Options {
    std::vector<std::string> files;
    std::string display; ///< empty: $DISPLAY
    bool fullscreen = false;
    bool once = false;
    std::optional<std::uint64_t> frames;
    std::optional<std::chrono::nanoseconds> interval;
    share::x11::Path path = share::x11::Path::automatic;
    Explain explain = Explain::no;
};

/// The program ends with this status; the text goes to standard output for status 0, else to error.
struct Exit {
    int status = 0;
    std::string text;
};

std::variant<Options, Exit> parse_options(int argc, const char* const* argv);
/// Seconds from 0 to a day, "0.5"; nothing for anything else.
std::optional<std::chrono::nanoseconds> parse_seconds(const std::string& text);

} // namespace bridge
