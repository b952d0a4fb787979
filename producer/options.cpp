// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace producer {

namespace {

constexpr std::uint32_t largest_side = 65535;
constexpr double longest_interval_s = 1e6;

std::optional<std::uint32_t> parse_side(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > largest_side)
        return std::nullopt;
    return value;
}

Size parse_size(const std::string& text) {
    const auto x = text.find('x');
    if (x != std::string::npos) {
        const auto width = parse_side(std::string_view(text).substr(0, x));
        const auto height = parse_side(std::string_view(text).substr(x + 1));
        if (width && height) return {*width, *height};
    }
    throw CLI::ValidationError("--size",
                               fmt::format("'{}' is no WIDTHxHEIGHT of 1 to {} pixels", text, largest_side));
}

std::uint64_t parse_frames(const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value == 0)
        throw CLI::ValidationError("--frames", fmt::format("'{}' is no count of 1 or more", text));
    return value;
}

/// What CLI11 collects before it is checked.
struct Raw {
    std::string display = "auto", size, explain;
    double interval = 0;
    std::string frames;
};

/// "camera:WHAT" instead of a file. A file of such a name is ./camera:WHAT.
void take_camera(Options& options, const CLI::App& app) {
    constexpr std::string_view prefix = "camera:";
    const auto is_camera = [&](const std::string& file) { return file.starts_with(prefix); };
    if (std::ranges::none_of(options.files, is_camera)) return;
    if (options.files.size() > 1) throw CLI::ValidationError("FILE", "a camera is shown alone");
    if (app.count("--interval") > 0) throw CLI::ValidationError("--interval", "a camera has its own pace");
    options.camera = options.files[0].substr(prefix.size());
    options.files.clear();
}

void check(Options& options, const Raw& raw, const CLI::App& app) {
    if (raw.display == "wayland")
        options.display = DisplayKind::wayland;
    else if (raw.display == "x11")
        options.display = DisplayKind::x11;
    if (app.count("--size") > 0) options.size = parse_size(raw.size);
    if (app.count("--explain") > 0) {
        if (raw.explain != "table" && raw.explain != "json")
            throw CLI::ValidationError("--explain",
                                       fmt::format("'{}' is neither table nor json", raw.explain));
        options.explain = raw.explain == "json" ? Explain::json : Explain::table;
    }
    if (app.count("--interval") > 0) {
        if (!std::isfinite(raw.interval) || raw.interval < 0 || raw.interval > longest_interval_s)
            throw CLI::ValidationError("--interval", "must be seconds between 0 and 1000000");
        options.interval = std::chrono::milliseconds(std::llround(raw.interval * 1000));
    }
    if (app.count("--frames") > 0) options.frames = parse_frames(raw.frames);
    if (options.once && options.frames > 0)
        throw CLI::ValidationError("--once", "it and --frames exclude each other");
    if (app.count("--test-card") > 0 && options.test_card.empty())
        throw CLI::ValidationError("--test-card", "names no file");
    if (app.count("--heap") > 0 && options.heap.empty())
        throw CLI::ValidationError("--heap", "names no heap");
    for (const auto& file : options.files)
        if (file.empty()) throw CLI::ValidationError("FILE", "a file name is empty");
    take_camera(options, app);
    if (options.files.empty() && !options.camera && options.test_card.empty())
        throw CLI::ValidationError("FILE", "no file given");
}

} // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
    Options options;
    Raw raw;
    CLI::App app("Shows pictures on Wayland or X11, decoded straight into the memory that the display shows.",
                 "share-producer");
    app.add_option("FILE", options.files,
                   "JPEG, PNG or WebP pictures; or camera:WHAT, a driver's name or a device's path");
    app.add_option("--display", raw.display, "wayland, x11 or auto (Wayland if there is one)")
        ->check(CLI::IsMember({"auto", "wayland", "x11"}));
    app.add_flag("--fullscreen", options.fullscreen, "cover the whole screen");
    app.add_option(
        "--size", raw.size,
        "WxH: the box that the window fits into (or the test card's size, or what a camera is asked for)");
    app.add_flag("--once", options.once, "present one frame, wait until it was shown, exit");
    app.add_option("--frames", raw.frames, "exit after N presents, each decoded anew, files in turn");
    app.add_option("--interval", raw.interval,
                   "seconds between presents; default 3 for several files, 0 with --frames (as fast as the "
                   "display takes them)");
    app.add_flag("--explain{table}", raw.explain,
                 "say what was copied where and why; --explain=json: one "
                 "JSON object a line");
    app.add_option("--test-card", options.test_card, "write the test card to this JPEG file and exit");
    app.add_option("--heap", options.heap, "take the frames' memory from this heap (driver: a camera's own)");
    app.set_version_flag("--version", "share-producer " SHARE_VERSION);
    if (argc < 1) {
        fmt::print(stderr, "share-producer: started without arguments, not even its name\n");
        return 2;
    }
    // CLI11 would take the next word for the value that is missing.
    for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i)
        if (const std::string_view word = argv[i]; word.starts_with("--") && word.ends_with('=')) {
            fmt::print(stderr, "share-producer: {}: the value is empty (see --help)\n", word);
            return 2;
        }
    try {
        app.parse(argc, argv);
        check(options, raw, app);
    } catch (const CLI::Success& done) {
        return app.exit(done);
    } catch (const CLI::Error& error) {
        fmt::print(stderr, "share-producer: {} (see --help)\n", error.what());
        return 2;
    }
    return options;
}

} // namespace producer
