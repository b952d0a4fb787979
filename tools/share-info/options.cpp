// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

namespace info {

namespace {

Exit usage_error(std::string_view what) {
    const std::string line(what.substr(0, what.find('\n')));
    return {2, fmt::format("share-info: {} (see share-info --help)\n", line)};
}

std::optional<Exit> check_words(int argc, const char* const* argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word.empty()) return usage_error("an argument is empty");
        if (word.starts_with("--") && word.ends_with('='))
            return usage_error(fmt::format("{}: the value is empty", word));
    }
    return std::nullopt;
}

} // namespace

std::variant<Options, Exit> parse_options(int argc, const char* const* argv,
                                          std::span<const std::string_view> known) {
    // A caller of execve may pass no arguments at all, not even the program's name.
    static const char* const bare[] = {"share-info", nullptr};
    if (argc < 1 || !argv || !argv[0]) {
        argc = 1;
        argv = bare;
    }
    if (auto wrong = check_words(argc, argv)) return *wrong;
    const auto names = fmt::format("{}", fmt::join(known, ", "));
    CLI::App app("share-info: what this machine and its display servers offer for sharing pixels",
                 "share-info");
    Options options;
    app.set_help_flag("--help", "Print this help and exit");
    app.set_version_flag("--version", std::string("share-info " SHARE_VERSION));
    app.add_flag("--json", options.json, "One JSON object instead of text");
    app.add_option("--section", options.sections, "Only this section; may be repeated: " + names)
        ->type_name("NAME")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_option(
           "--process", options.processes,
           "What this process holds of shared memory, how much is pinned, and who else has it; may be "
           "repeated")
        ->type_name("PID")
        ->expected(1)
        ->check(CLI::PositiveNumber)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.footer("The Wayland and X servers asked are those of WAYLAND_DISPLAY and DISPLAY.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return Exit{0, app.help()};
    } catch (const CLI::CallForVersion& version) {
        return Exit{0, fmt::format("{}\n", version.what())};
    } catch (const CLI::ParseError& error) {
        return usage_error(error.what());
    }
    for (const auto& name : options.sections)
        if (std::find(known.begin(), known.end(), name) == known.end())
            return usage_error(fmt::format("--section={}: must be one of {}", name, names));
    return options;
}

} // namespace info
