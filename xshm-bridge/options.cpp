// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>

namespace bridge {

namespace {

constexpr double longest_interval = 86'400;

Exit usage_error(std::string_view what) {
    const std::string line(what.substr(0, what.find('\n')));
    return {2, fmt::format("xshm-bridge: {} (see xshm-bridge --help)\n", line)};
}

struct Texts {
    std::string frames, interval, path, explain;
};

void declare(CLI::App& app, CLI::App& show, Texts& texts, Options& options) {
    app.set_help_flag("--help", "Print this help and exit");
    app.set_version_flag("--version", std::string("xshm-bridge " SHARE_VERSION));
    app.require_subcommand(1);
    show.set_help_flag("--help", "Print this help and exit");
    show.add_option("FILE", options.files, "Pictures: JPEG, PNG or WebP")->required();
    show.add_option("--display", options.display, "X server to use ($DISPLAY)")->type_name("DISPLAY");
    show.add_flag("--fullscreen", options.fullscreen, "Cover the screen; the picture is centred on black");
    show.add_flag("--once", options.once, "Show one frame, wait until the server has taken it, and exit");
    show.add_option("--frames", texts.frames, "Exit after N frames, each decoded anew, the files in turn")
        ->type_name("N");
    show.add_option(
            "--interval", texts.interval,
            "Between two frames (3 for several files, 0 with --frames: as fast as the server takes them)")
        ->type_name("SECONDS");
    show.add_option("--path", texts.path,
                    "auto, fd (MIT-SHM with a memfd), sysv (MIT-SHM with a SysV segment) or socket")
        ->type_name("PATH");
    show.add_flag(
        "--explain{table}", texts.explain,
        "Tell what was copied, where and why: a table at the end, or with =json one object per line");
    show.footer("Key q, Escape, the close button, SIGINT and SIGTERM end it.");
}

/// CLI11 writes a flag's value as "{table}"; what is meant is that "=json" may follow.
std::string tidy(std::string help) {
    constexpr std::string_view written = "--explain{table}";
    if (const auto at = help.find(written); at != help.npos)
        help.replace(at, written.size(), "--explain[=json]");
    return help;
}

std::optional<Exit> check(const CLI::App& show, const Texts& texts, Options& options) {
    if (show.count("--frames") != 0) {
        std::uint64_t frames = 0;
        const char* const end = texts.frames.data() + texts.frames.size();
        const auto [last, error] = std::from_chars(texts.frames.data(), end, frames);
        if (error != std::errc{} || last != end || frames == 0)
            return usage_error(fmt::format("--frames={}: must be a number from 1 on", texts.frames));
        options.frames = frames;
    }
    if (show.count("--interval") != 0) {
        options.interval = parse_seconds(texts.interval);
        if (!options.interval)
            return usage_error(
                fmt::format("--interval={}: must be seconds from 0 to {}", texts.interval, longest_interval));
    }
    if (options.once && options.frames) return usage_error("--once and --frames exclude each other");
    if (show.count("--path") != 0) {
        const auto path = share::x11::parse_path(texts.path);
        if (!path) return usage_error(fmt::format("--path={}: must be auto, fd, sysv or socket", texts.path));
        options.path = *path;
    }
    if (show.count("--explain") != 0) {
        if (texts.explain == "table")
            options.explain = Explain::table;
        else if (texts.explain == "json")
            options.explain = Explain::json;
        else
            return usage_error(
                fmt::format("--explain={}: must be --explain or --explain=json", texts.explain));
    }
    return std::nullopt;
}

} // namespace

std::optional<std::chrono::nanoseconds> parse_seconds(const std::string& text) {
    double seconds = 0;
    const char* const end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, seconds);
    if (error != std::errc{} || last != end || !std::isfinite(seconds)) return std::nullopt;
    if (std::signbit(seconds) || seconds > longest_interval) return std::nullopt;
    return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

std::variant<Options, Exit> parse_options(int argc, const char* const* argv) {
    // A caller of execve may pass no arguments at all, not even the program's name.
    static const char* const bare[] = {"xshm-bridge", nullptr};
    if (argc < 1 || !argv || !argv[0]) {
        argc = 1;
        argv = bare;
    }
    bool options_end = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word.empty()) return usage_error("an argument is empty");
        options_end = options_end || word == "--";
        if (!options_end && word.starts_with("--") && word.ends_with('='))
            return usage_error(fmt::format("{}: the value is empty", word));
    }
    CLI::App app("xshm-bridge: pictures in shared memory between a program and an X server", "xshm-bridge");
    auto& show = *app.add_subcommand("show", "Show pictures in an X window");
    Options options;
    Texts texts;
    declare(app, show, texts, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return Exit{0,
                    tidy(show.parsed() ? show.help("xshm-bridge") : app.help("", CLI::AppFormatMode::All))};
    } catch (const CLI::CallForVersion& version) {
        return Exit{0, fmt::format("{}\n", version.what())};
    } catch (const CLI::ParseError& error) {
        return usage_error(error.what());
    }
    if (auto exit = check(show, texts, options)) return *exit;
    return options;
}

} // namespace bridge
