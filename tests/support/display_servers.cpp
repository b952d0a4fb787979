// SPDX-License-Identifier: MIT
#include "display_servers.hpp"

#include <signal.h>

#include <filesystem>
#include <sstream>

#include <fmt/format.h>

namespace integration {
namespace {

testing::ProcessOptions compositor_command(const testing::TempDir& dir, const Compositor::Options& options) {
    std::vector<std::string> args{testing::built("compositor-demo/share-compositor"),
                                  "--socket=share-test",
                                  fmt::format("--size={}x{}", options.width, options.height),
                                  "--refresh=" + options.refresh,
                                  "--renderer=" + options.renderer,
                                  "--screenshot=" + (dir / "screen.png")};
    args.insert(args.end(), options.more.begin(), options.more.end());
    return {.env = {"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"},
            .args = std::move(args)};
}

testing::ProcessOptions x_command(const std::vector<std::string>& arguments) {
    // Xvfb picks a free number and writes it to the fd; its standard output is a file that we can read.
    std::vector<std::string> args{"Xvfb",     "-displayfd", "1", "-nolisten", "tcp",
                                  "-noreset", "-screen",    "0", "800x600x24"};
    args.insert(args.end(), arguments.begin(), arguments.end());
    return {.args = std::move(args)};
}

} // namespace

Compositor::Compositor(const Options& options) : process_(compositor_command(dir_, options)) {
    testing::eventually([&] { return std::filesystem::exists(socket()) || !process_.running(); });
}

std::vector<std::string> Compositor::env() const {
    return {"XDG_RUNTIME_DIR=" + dir_.path().string(), "WAYLAND_DISPLAY=share-test", "WAYLAND_SOCKET",
            "DISPLAY"};
}

std::optional<testing::Picture> Compositor::screenshot() {
    const std::string file = dir_ / "screen.png";
    std::filesystem::remove(file);
    process_.signal(SIGUSR1);
    testing::eventually([&] { return std::filesystem::exists(file); }); // it is renamed into place whole
    return testing::load_png(file);
}

std::optional<int> Compositor::stop() {
    process_.signal(SIGTERM);
    return process_.wait(std::chrono::seconds(10));
}

XServer::XServer(const std::vector<std::string>& arguments) : process_(x_command(arguments)) {
    testing::eventually(
        [&] { return process_.out().find('\n') != std::string::npos || !process_.running(); });
    std::istringstream out(process_.out());
    std::string number;
    if (std::getline(out, number) && !number.empty()) display_ = ":" + number;
}

std::vector<std::string> producer(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), testing::built("producer/share-producer"));
    return arguments;
}

std::string test_card(const testing::TempDir& dir, int width, int height) {
    std::string path = dir / "card.jpg";
    const auto made =
        testing::run({.args = producer({"--test-card=" + path, fmt::format("--size={}x{}", width, height)})});
    return made.status == 0 ? path : std::string();
}

std::optional<testing::Picture> decode_with_djpeg(const testing::TempDir& dir, const std::string& jpeg) {
    const std::string ppm = dir / "djpeg.ppm";
    if (testing::run({.args = {"djpeg", "-pnm", "-outfile", ppm, jpeg}}).status != 0) return std::nullopt;
    return testing::load_ppm(ppm);
}

} // namespace integration
