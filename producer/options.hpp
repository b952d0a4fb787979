// SPDX-License-Identifier: MIT
// The command line of share-producer, checked. Thread: a value type. Errors: parse_options() prints one line
// and gives the exit status (2 for a wrong command line, 0 for --help and --version).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace producer {

struct Size {
    std::uint32_t width = 0, height = 0;
};

enum class DisplayKind : std::uint8_t { automatic, wayland, x11 };
enum class Explain : std::uint8_t { no, table, json };

struct Options {
    std::vector<std::string> files;
    std::optional<std::string> camera; ///< instead of files: a driver's name, a path, or empty for any
    DisplayKind display = DisplayKind::automatic;
    bool fullscreen = false;
    bool once = false;
    std::optional<Size> size;
    std::uint64_t frames = 0; ///< 0: no end
    std::optional<std::chrono::milliseconds> interval;
    Explain explain = Explain::no;
    std::string test_card; ///< a file to write; empty: none
    std::string heap;      ///< empty: the best one
};

/// Options, or the exit status of a program that is done already.
std::variant<Options, int> parse_options(int argc, char** argv);

} // namespace producer
