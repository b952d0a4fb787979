// SPDX-License-Identifier: MIT
// The command line of share-info. Usage errors are one line and exit status 2.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <sys/types.h>

namespace info {

struct Options {
    std::vector<std::string> sections; ///< empty: all, or none where processes are asked for
    std::vector<pid_t> processes;      ///< empty: none
    bool json = false;
};

/// The program ends with this status; the text goes to standard output for status 0, else to error.
struct Exit {
    int status = 0;
    std::string text;
};

/// `known`: the names of all sections.
std::variant<Options, Exit> parse_options(int argc, const char* const* argv,
                                          std::span<const std::string_view> known);

} // namespace info
