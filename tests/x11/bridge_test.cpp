// SPDX-License-Identifier: MIT
// xshm-bridge from file to screen, compared with what other programs decode, and its manners.
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "x_server.hpp"

using Catch::Matchers::ContainsSubstring;
using namespace testing;
using namespace std::chrono_literals;

namespace {

const std::string program = built("xshm-bridge/xshm-bridge");

struct Picture {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint8_t> rgb;
};

Picture make_picture(std::uint32_t width, std::uint32_t height) {
    Picture p{width, height, {}};
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x)
            for (const std::uint32_t v :
                 {x * 255 / width, y * 255 / height, (x / 8 + y / 8) % 2 * 200 + x % 50})
                p.rgb.push_back(static_cast<std::uint8_t>(v));
    return p;
}

void write_ppm(const Picture& p, const std::string& file) {
    std::ofstream out(file, std::ios::binary);
    out << "P6\n" << p.width << ' ' << p.height << "\n255\n";
    out.write(reinterpret_cast<const char*>(p.rgb.data()), static_cast<std::streamsize>(p.rgb.size()));
}

Picture read_ppm(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    std::string magic;
    std::uint32_t top = 0;
    Picture p;
    in >> magic >> p.width >> p.height >> top;
    in.get();
    REQUIRE(magic == "P6");
    p.rgb.resize(std::size_t{p.width} * p.height * 3);
    in.read(reinterpret_cast<char*>(p.rgb.data()), static_cast<std::streamsize>(p.rgb.size()));
    REQUIRE(in);
    return p;
}

/// Largest difference of a channel between the screen's upper left corner and the picture; 255 for another
/// size.
int difference(const std::string& display, const Picture& wanted, std::uint32_t left = 0,
               std::uint32_t top = 0) {
    const auto shot = look(display, 0, 640, 480);
    int worst = 0;
    for (std::uint32_t y = 0; y < wanted.height; ++y)
        for (std::uint32_t x = 0; x < wanted.width; ++x)
            for (std::uint32_t c = 0; c < 3; ++c) {
                const int seen = shot.pixels[(std::size_t{y + top} * shot.width + x + left) * 4 + 2 - c];
                worst =
                    std::max(worst, std::abs(seen - wanted.rgb[(std::size_t{y} * wanted.width + x) * 3 + c]));
            }
    return worst;
}

Process start(const std::string& display, std::vector<std::string> args) {
    ProcessOptions options;
    options.env = {"DISPLAY=" + display};
    options.args = {program, "show"};
    options.args.insert(options.args.end(), args.begin(), args.end());
    return Process(options);
}

Finished finish(const std::string& display, std::vector<std::string> args) {
    auto process = start(display, std::move(args));
    const auto status = process.wait(30s);
    return {status.value_or(124), process.out(), process.err()};
}

std::size_t lines(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// A picture as a file, made without any code of ours.
struct Sample {
    TempDir dir;
    Picture wanted = make_picture(400, 301);
    std::string file;
    Sample() {
        if (!have_program("cjpeg") || !have_program("djpeg"))
            SKIP("cjpeg and djpeg (libjpeg-turbo-progs) are not installed");
        write_ppm(wanted, dir / "in.ppm");
        file = dir / "photo.jpg";
        REQUIRE(run({.args = {"cjpeg", "-quality", "93", "-sample", "2x2", "-outfile", file, dir / "in.ppm"}})
                    .status == 0);
        REQUIRE(run({.args = {"djpeg", "-pnm", "-outfile", dir / "out.ppm", file}}).status == 0);
        wanted = read_ppm(dir / "out.ppm");
    }
};

} // namespace

TEST_CASE("a JPEG on the screen is what djpeg decodes, by every path, until a signal ends it") {
    auto server = XServer::start({});
    Sample sample;
    for (const char* path : {"auto", "fd", "sysv", "socket"}) {
        INFO(path);
        auto bridge = start(server->display(), {std::string("--path=") + path, sample.file});
        CHECK(eventually([&] { return difference(server->display(), sample.wanted) <= 2; }));
        CHECK(bridge.running());
        bridge.signal(SIGINT);
        CHECK(bridge.wait(10s) == 0);
        CHECK(bridge.err() == "");
    }
}

TEST_CASE("PNG and WebP on the screen are the pixels they were made of") {
    struct Case {
        const char* tool;
        std::vector<std::string> args;
        std::string name;
    };
    TempDir dir;
    const auto wanted = make_picture(333, 222);
    const auto input = dir / "in.ppm";
    write_ppm(wanted, input);
    const std::vector<Case> cases = {
        {"convert", {"convert", input, dir / "a.png"}, "a.png"},
        {"cwebp", {"cwebp", "-quiet", "-lossless", input, "-o", dir / "a.webp"}, "a.webp"}};
    auto server = XServer::start({});
    bool any = false;
    for (const auto& c : cases) {
        if (!have_program(c.tool)) continue;
        any = true;
        REQUIRE(run({.args = c.args}).status == 0);
        auto bridge = start(server->display(), {dir / c.name});
        CHECK(eventually([&] { return difference(server->display(), wanted) == 0; }));
        bridge.signal(SIGTERM);
        CHECK(bridge.wait(10s) == 0);
    }
    if (!any) SKIP("neither ImageMagick's convert nor cwebp is installed");
}

TEST_CASE("fullscreen centres the picture on black") {
    auto server = XServer::start({});
    Sample sample;
    auto bridge = start(server->display(), {"--fullscreen", sample.file});
    CHECK(eventually(
        [&] { return difference(server->display(), sample.wanted, (640 - 400) / 2, (480 - 301) / 2) <= 2; }));
    const Picture black{640, 89, std::vector<std::uint8_t>(std::size_t{640} * 89 * 3, 0)};
    CHECK(difference(server->display(), black) == 0);
    bridge.signal(SIGINT);
    CHECK(bridge.wait(10s) == 0);
}

TEST_CASE("on screens of depth 16 and 30 the picture is converted, and the ledger says so") {
    Sample sample;
    for (const char* screen : {"640x480x16", "640x480x30"}) {
        auto server = XServer::start({.screen = screen});
        const auto done = finish(server->display(), {"--once", "--explain", sample.file});
        CHECK(done.status == 0);
        CHECK_THAT(done.out, ContainsSubstring("convert"));
    }
}

TEST_CASE("the ledger tells the frames, their path and who copied what") {
    auto server = XServer::start({});
    Sample sample;
    const auto done = finish(server->display(), {"--frames=4", "--explain=json", sample.file});
    CHECK(done.status == 0);
    CHECK(done.err == "");
    REQUIRE(lines(done.out) == 5);
    std::istringstream in(done.out);
    constexpr std::uint64_t bytes = 400 * 301 * 4;
    for (std::uint64_t i = 1; i <= 4; ++i) {
        std::string line;
        std::getline(in, line);
        const auto frame = nlohmann::json::parse(line);
        CHECK(frame["frame"] == i);
        CHECK(frame["steps"].front()["stage"] == "decode");
        CHECK(frame["steps"].back()["mechanism"] == "mit-shm-fd");
        CHECK(frame["steps"].back()["by"] == "server");
        CHECK(frame["steps"].back()["bytes_copied"] == bytes);
    }
    std::string line;
    std::getline(in, line);
    const auto totals = nlohmann::json::parse(line)["totals"];
    CHECK(totals["frames"] == 4);
    CHECK(totals["copied_by_us"] == 0);
    CHECK(totals["copied_by_server"] == 4 * bytes);
}

TEST_CASE("without MIT-SHM the picture is shown all the same, and the reason is told") {
    auto server = XServer::start({.args = {"-extension", "MIT-SHM"}});
    Sample sample;
    const auto done = finish(server->display(), {"--once", "--explain", sample.file});
    CHECK(done.status == 0);
    CHECK_THAT(done.out, ContainsSubstring("does not have the extension") && ContainsSubstring("x-socket"));
    const auto forced = finish(server->display(), {"--once", "--path=fd", sample.file});
    CHECK(forced.status == 1);
    CHECK(lines(forced.err) == 1);
}

TEST_CASE("SIGKILL leaves no SysV segment behind") {
    auto server = XServer::start({});
    Sample sample;
    auto bridge = start(server->display(), {"--path=sysv", sample.file});
    CHECK(eventually([&] { return difference(server->display(), sample.wanted) <= 2; }));
    const auto pid = bridge.pid();
    CHECK(count_sysv_segments(pid) == 1);
    bridge.signal(SIGKILL);
    CHECK(bridge.wait(10s) == 137);
    CHECK(eventually([&] { return count_sysv_segments(pid) == 0; }));
}

TEST_CASE("a server that dies ends the program with one line and status 1") {
    auto server = XServer::start({});
    Sample sample;
    auto bridge = start(server->display(), {sample.file});
    CHECK(eventually([&] { return difference(server->display(), sample.wanted) <= 2; }));
    server->signal(SIGKILL);
    CHECK(bridge.wait(10s) == 1);
    CHECK(lines(bridge.err()) == 1);
    CHECK_THAT(bridge.err(), ContainsSubstring("connection"));
}

TEST_CASE("what is not a picture is named, with the cause, and nothing is shown") {
    auto server = XServer::start({});
    TempDir dir;
    std::ofstream(dir / "bad.jpg") << "no picture";
    for (const auto& file : {dir / "bad.jpg", dir / "missing.jpg", dir.path().string()}) {
        const auto done = finish(server->display(), {"--once", "--explain=json", file});
        CHECK(done.status == 1);
        CHECK(lines(done.err) == 1);
        CHECK_THAT(done.err, ContainsSubstring(file));
        CHECK_THAT(done.out, !ContainsSubstring("\"frame\":1"));
    }
}

TEST_CASE("without a display the program says what it tried") {
    Sample sample;
    auto none = run({.env = {"DISPLAY"}, .args = {program, "show", sample.file}});
    CHECK(none.status == 1);
    CHECK_THAT(none.err, ContainsSubstring("DISPLAY is not set"));
    auto wrong = run({.args = {program, "show", "--display=:4711", sample.file}});
    CHECK(wrong.status == 1);
    CHECK_THAT(wrong.err, ContainsSubstring("/tmp/.X11-unix/X4711"));
}

TEST_CASE("wrong command lines end with status 2 and one line") {
    const std::vector<std::vector<std::string>> wrong = {{},
                                                         {"show"},
                                                         {"look", "x"},
                                                         {"show", ""},
                                                         {"show", "--frames=0", "x"},
                                                         {"show", "--frames=-1", "x"},
                                                         {"show", "--frames=99999999999999999999", "x"},
                                                         {"show", "--frames=", "x"},
                                                         {"show", "--interval=nan", "x"},
                                                         {"show", "--interval=-1", "x"},
                                                         {"show", "--interval=inf", "x"},
                                                         {"show", "--interval=1e99", "x"},
                                                         {"show", "--path=dri3", "x"},
                                                         {"show", "--explain=xml", "x"},
                                                         {"show", "--bogus", "x"},
                                                         {"show", "--once", "--frames=2", "x"},
                                                         {"show", "--display=", "x"}};
    for (const auto& args : wrong) {
        ProcessOptions options;
        options.args = {program};
        options.args.insert(options.args.end(), args.begin(), args.end());
        const auto done = run(options);
        INFO((args.empty() ? std::string("no arguments") : args.back()) << ": " << done.err);
        CHECK(done.status == 2);
        CHECK(lines(done.err) == 1);
        CHECK(done.out == "");
    }
    CHECK(run({.args = {program, "--help"}}).status == 0);
    CHECK(run({.args = {program, "--version"}}).out == "xshm-bridge " SHARE_VERSION "\n");
    // The file after --explain is a file and not its value.
    CHECK_THAT(run({.args = {program, "show", "--display=:4711", "--explain", "/nowhere.jpg"}}).err,
               ContainsSubstring("/nowhere.jpg"));
}

TEST_CASE("what cannot be printed costs the exit status") {
    for (const char* word : {"--version", "--help"}) {
        INFO(word);
        const auto full = run({.args = {"sh", "-c", "exec \"$0\" $1 >/dev/full", program, word}});
        CHECK(full.status == 1);
        CHECK(full.err.find("standard output") != std::string::npos);
    }
}
