// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>

namespace compositor {
namespace {

constexpr int max_size = 16384;

const char* const footer =
    "SIGUSR1 writes the screenshot, SIGINT and SIGTERM end the compositor.\n"
    "With -- COMMAND, the command runs inside and its exit status becomes the compositor's.";

Exit usage_error(std::string_view what) {
    std::string line(what.substr(0, what.find('\n')));
    return {2, fmt::format("share-compositor: {} (see share-compositor --help)\n", line)};
}

struct Texts {
    std::string backend = "headless", size = "1280x720", refresh = "60", explain;
    std::optional<std::string> screenshot, socket;
};

void declare(CLI::App& app, Texts& texts, Options& options) {
    app.set_help_flag("--help", "Print this help and exit");
    app.set_version_flag("--version", std::string("share-compositor " SHARE_VERSION));
    app.add_option("--backend", texts.backend, "Where the output is: headless (a picture in memory)")
        ->type_name("NAME");
    app.add_option("--size", texts.size, "Size of the output in pixels (1280x720)")->type_name("WxH");
    app.add_option("--refresh", texts.refresh,
                   "Refresh rate in Hz, may be fractional (60); 0: repaint at once")
        ->type_name("HZ");
    app.add_option("--screenshot", texts.screenshot, "Write the picture as PNG on SIGUSR1 and at the end")
        ->type_name("FILE");
    app.add_option("--socket", texts.socket, "Name of the Wayland socket (first free wayland-N)")
        ->type_name("NAME");
    app.add_option("--renderer", options.renderer, "auto, gl or pixman (auto: gl on a hardware driver)")
        ->type_name("NAME");
    app.add_option(
           "--explain", texts.explain,
           "Tell what was copied, where and why: a table at the end, or with =json one object per frame")
        ->expected(0, 1)
        ->type_name("[=json]");
    app.footer(footer);
}

std::optional<Exit> check(const CLI::App& app, const Texts& texts, Options& options) {
    if (texts.backend != "headless")
        return usage_error(fmt::format("--backend={}: the only backend is headless", texts.backend));
    const auto size = parse_size(texts.size);
    if (!size)
        return usage_error(fmt::format("--size={}: must be WxH, each from 1 to {}", texts.size, max_size));
    std::tie(options.width, options.height) = *size;
    const auto refresh = parse_refresh(texts.refresh);
    if (!refresh)
        return usage_error(fmt::format("--refresh={}: must be 0, or Hz from 0.001 to 10000", texts.refresh));
    options.refresh_mhz = *refresh;
    if (options.renderer != "auto" && options.renderer != "gl" && options.renderer != "pixman")
        return usage_error(fmt::format("--renderer={}: must be auto, gl or pixman", options.renderer));
    if (texts.screenshot && texts.screenshot->empty())
        return usage_error("--screenshot: the file name is empty");
    if (texts.socket && texts.socket->empty()) return usage_error("--socket: the name is empty");
    options.screenshot = texts.screenshot.value_or("");
    options.socket = texts.socket.value_or("");
    if (app.count("--explain") != 0) {
        if (texts.explain.empty())
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

std::optional<std::pair<int, int>> parse_size(const std::string& text) {
    const char* const end = text.data() + text.size();
    int width = 0, height = 0;
    const auto [x, width_error] = std::from_chars(text.data(), end, width);
    if (width_error != std::errc{} || x == end || *x != 'x') return std::nullopt;
    const auto [last, height_error] = std::from_chars(x + 1, end, height);
    if (height_error != std::errc{} || last != end) return std::nullopt;
    if (width < 1 || height < 1 || width > max_size || height > max_size) return std::nullopt;
    return std::pair{width, height};
}

std::optional<int> parse_refresh(const std::string& text) {
    const char* const end = text.data() + text.size();
    double hz = 0;
    const auto [last, error] = std::from_chars(text.data(), end, hz);
    if (error != std::errc{} || last != end || !std::isfinite(hz)) return std::nullopt;
    if (hz == 0 && !std::signbit(hz)) return 0;
    if (hz < 0.001 || hz > 10'000) return std::nullopt;
    return static_cast<int>(std::lround(hz * 1000));
}

std::variant<Options, Exit> parse_options(int argc, const char* const* argv) {
    // A caller of execve may pass no arguments at all, not even the program's name.
    static const char* const bare[] = {"share-compositor", nullptr};
    if (argc < 1 || !argv || !argv[0]) {
        argc = 1;
        argv = bare;
    }
    Options options;
    int own = 1;
    while (own < argc && std::string_view(argv[own]) != "--")
        ++own;
    const bool has_command = own < argc;
    for (int i = own + 1; i < argc; ++i)
        options.command.emplace_back(argv[i]);
    if (has_command && options.command.empty()) return usage_error("--: the command is missing");
    if (has_command && options.command.front().empty()) return usage_error("--: the command is empty");

    CLI::App app("share-compositor: a Wayland compositor that shows clients' buffers where they lie",
                 "share-compositor");
    app.set_config();
    Texts texts;
    declare(app, texts, options);
    // An option given as "--name=" is an empty value to us, and not the end of the word to CLI11.
    for (int i = 1; i < own; ++i) {
        const std::string_view word = argv[i];
        if (word.empty()) return usage_error("an argument is empty");
        if (word.starts_with("--") && word.ends_with('='))
            return usage_error(fmt::format("{}: the value is empty", word));
    }
    try {
        app.parse(own, argv);
    } catch (const CLI::CallForHelp&) {
        return Exit{0, app.help()};
    } catch (const CLI::CallForVersion& version) {
        return Exit{0, fmt::format("{}\n", version.what())};
    } catch (const CLI::ParseError& error) {
        return usage_error(error.what());
    }
    if (auto exit = check(app, texts, options)) return *exit;
    return options;
}

} // namespace compositor
