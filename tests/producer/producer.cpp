// SPDX-License-Identifier: MIT
// share-producer against the displays that people have: stock Weston (gl and pixman) and Xvfb.
//
// One client per kiosk Weston: its shell does not survive a second fullscreen client.
#include <fcntl.h>
#include <png.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fmt/format.h>

#include "process.hpp"

using namespace testing;
using namespace std::chrono_literals;

namespace {

constexpr unsigned width = 320, height = 200;

struct Picture {
    unsigned width = 0, height = 0;
    std::vector<std::uint8_t> rgb;
};

std::uint8_t sample(unsigned x, unsigned y, unsigned channel) {
    return static_cast<std::uint8_t>(channel == 0 ? x * 7 + y : channel == 1 ? x ^ y : y * 3 + (x >> 2));
}

/// A picture whose every pixel is known without any decoder.
Picture known_picture() {
    Picture picture{width, height, {}};
    for (unsigned y = 0; y < height; ++y)
        for (unsigned x = 0; x < width; ++x)
            for (unsigned c = 0; c < 3; ++c)
                picture.rgb.push_back(sample(x, y, c));
    return picture;
}

void write_png(const Picture& picture, const std::string& path) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = picture.width;
    image.height = picture.height;
    image.format = PNG_FORMAT_RGB;
    REQUIRE(png_image_write_to_file(&image, path.c_str(), 0, picture.rgb.data(), 0, nullptr) != 0);
}

Picture read_png(const std::string& path) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&image, path.c_str())) return {};
    image.format = PNG_FORMAT_RGB;
    Picture picture{image.width, image.height, std::vector<std::uint8_t>(PNG_IMAGE_SIZE(image))};
    if (!png_image_finish_read(&image, nullptr, picture.rgb.data(), 0, nullptr)) return {};
    return picture;
}

/// The largest difference of any sample; 256 when the sizes differ.
int difference(const Picture& a, const Picture& b) {
    if (a.width != b.width || a.height != b.height || a.rgb.size() != b.rgb.size() || a.rgb.empty())
        return 256;
    int most = 0;
    for (std::size_t i = 0; i < a.rgb.size(); ++i)
        most = std::max(most, std::abs(int{a.rgb[i]} - int{b.rgb[i]}));
    return most;
}

/// What djpeg, of libjpeg's own tools, makes of a JPEG.
Picture decode_with_djpeg(const std::string& path) {
    const auto done = run({.args = {"djpeg", "-ppm", path}});
    REQUIRE(done.status == 0);
    Picture picture;
    int header = 0;
    REQUIRE(std::sscanf(done.out.c_str(), "P6 %u %u 255%n", &picture.width, &picture.height, &header) == 2);
    const auto pixels = done.out.substr(static_cast<std::size_t>(header) + 1);
    picture.rgb.assign(pixels.begin(), pixels.end());
    return picture;
}

/// A headless Weston with a kiosk shell, and its screenshots.
class Weston {
public:
    explicit Weston(const std::string& renderer)
        : process_({.env = {"XDG_RUNTIME_DIR=" + dir_.path().string(), "WAYLAND_DISPLAY", "DISPLAY"},
                    .args = {"weston", "--backend=headless", "--renderer=" + renderer,
                             fmt::format("--width={}", width), fmt::format("--height={}", height),
                             "--no-config", "--idle-time=0", "--shell=kiosk", "--socket=w", "--debug"}}) {
        REQUIRE(eventually([this] { return access((dir_ / "w").c_str(), F_OK) == 0; }));
    }
    std::vector<std::string> client_env() const {
        return {"XDG_RUNTIME_DIR=" + dir_.path().string(), "WAYLAND_DISPLAY=w", "WAYLAND_SOCKET", "DISPLAY"};
    }
    Picture screenshot() const {
        const TempDir place;
        const auto done =
            run({.env = client_env(),
                 .args = {"sh", "-c", "cd " + place.path().string() + " && exec weston-screenshooter"}});
        if (done.status != 0) return {};
        for (const auto& entry : std::filesystem::directory_iterator(place.path()))
            return read_png(entry.path());
        return {};
    }

private:
    TempDir dir_;
    Process process_;
};

const std::string program = built("producer/share-producer");

void need(const char* name) {
    if (!have_program(name)) SKIP(std::string(name) + " is not installed");
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// Shows `file` on the Weston until its screenshot differs from `expected` by at most `tolerance`; then ends
/// it with SIGINT and returns what it said.
std::string show_and_compare(const Weston& weston, const std::string& file, const Picture& expected,
                             int tolerance) {
    Process producer({.env = weston.client_env(), .args = {program, "--explain=json", file}});
    int last = 256;
    eventually(
        [&] {
            last = difference(weston.screenshot(), expected);
            return last <= tolerance || !producer.running();
        },
        30s);
    CHECK(last <= tolerance);
    producer.signal(SIGINT);
    CHECK(producer.wait(10s) == 0);
    CHECK(producer.err().empty());
    return producer.out();
}

/// An Xvfb on a display of its own choice.
class Xvfb {
public:
    Xvfb() {
        int ends[2];
        REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
        const share::UniqueFd read_end(ends[0]);
        share::UniqueFd write_end(ends[1]);
        process_.emplace(ProcessOptions{.args = {"Xvfb", "-displayfd", std::to_string(ends[1]), "-screen",
                                                 "0", "640x480x24", "-nolisten", "tcp", "-noreset"},
                                        .keep_fds = {ends[1]}});
        write_end.reset();
        std::string number;
        for (char c = 0; read(read_end.get(), &c, 1) == 1 && c != '\n';)
            number += c;
        REQUIRE_FALSE(number.empty());
        display_ = ":" + number;
    }
    const std::string& display() const { return display_; }

private:
    std::optional<Process> process_;
    std::string display_;
};

} // namespace

TEST_CASE("on Weston's gl renderer the memfd goes through linux-dmabuf and every pixel arrives") {
    need("weston");
    need("weston-screenshooter");
    const TempDir dir;
    const Weston weston("gl");
    const auto picture = known_picture();
    write_png(picture, dir / "known.png");
    const auto said = show_and_compare(weston, dir / "known.png", picture, 0);
    CHECK(contains(said, R"({"about":"memfd","text":"taken for XR24)"));
    CHECK(contains(said, R"("copied_by_us":0,)"));
    CHECK_FALSE(contains(said, "wl_shm"));
}

TEST_CASE("on Weston's pixman renderer the same memfd goes as wl_shm, and the ledger says why") {
    need("weston");
    need("weston-screenshooter");
    const TempDir dir;
    const Weston weston("pixman");
    const auto picture = known_picture();
    write_png(picture, dir / "known.png");
    const auto said = show_and_compare(weston, dir / "known.png", picture, 0);
    CHECK(contains(said, R"({"about":"wl_shm","text":"taken for XR24)"));
    CHECK(contains(said, "not taken for XR24: the compositor has no linux-dmabuf"));
    CHECK(contains(said, R"("copied_by_us":0,)"));
}

TEST_CASE("the test card on Weston's screen is what djpeg decodes") {
    need("weston");
    need("weston-screenshooter");
    need("djpeg");
    const auto renderer = GENERATE(as<std::string>(), "gl", "pixman");
    const TempDir dir;
    const auto card = dir / "card.jpg";
    REQUIRE(
        run({.args = {program, "--test-card=" + card, fmt::format("--size={}x{}", width, height)}}).status ==
        0);
    const Weston weston(renderer);
    show_and_compare(weston, card, decode_with_djpeg(card), 1);
}

TEST_CASE("files are shown in turn, a damaged one is named and passed over") {
    need("weston");
    const TempDir dir;
    write_png(known_picture(), dir / "good.png");
    std::ofstream(dir / "bad.jpg") << "\xff\xd8\xff no picture";
    const Weston weston("pixman");
    const auto done =
        run({.env = weston.client_env(),
             .args = {program, "--frames=4", "--explain=json", dir / "bad.jpg", dir / "good.png"}});
    CHECK(done.status == 0);
    CHECK(contains(done.err, "bad.jpg"));
    CHECK(contains(done.out, R"("frames":4,)"));
}

TEST_CASE("a picture larger than the screen is scaled by the compositor, and that is told") {
    need("weston");
    const TempDir dir;
    REQUIRE(run({.args = {program, "--test-card=" + (dir / "card.jpg"), "--size=1000x500"}}).status == 0);
    const Weston weston("pixman");
    const auto done =
        run({.env = weston.client_env(), .args = {program, "--once", "--explain", dir / "card.jpg"}});
    CHECK(done.status == 0);
    CHECK(contains(done.out, fmt::format("scales 1000x500 to {}x{}", width, width / 2)));
}

TEST_CASE("without any picture nothing is opened and the exit status is 1") {
    const TempDir dir;
    std::ofstream(dir / "bad.jpg") << "no picture";
    const auto done = run({.args = {program, dir / "bad.jpg", dir / "absent.png"}});
    CHECK(done.status == 1);
    CHECK(contains(done.err, "bad.jpg"));
    CHECK(contains(done.err, "absent.png"));
}

TEST_CASE("a test card that cannot be written leaves nothing behind and the device in its place") {
    const TempDir dir;
    const auto full = run({.args = {program, "--test-card=/dev/full"}});
    CHECK(full.status == 1);
    CHECK(contains(full.err, "not a regular file"));
    CHECK(std::filesystem::is_character_file("/dev/full"));
    const auto limited =
        run({.args = {"sh", "-c", "ulimit -f 1; exec \"$0\" --test-card=\"$1\"", program, dir / "card.jpg"}});
    CHECK(limited.status == 1);
    CHECK(contains(limited.err, "card.jpg"));
    CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("without a display it says what was tried") {
    const TempDir dir;
    write_png(known_picture(), dir / "good.png");
    const auto done = run({.env = {"WAYLAND_DISPLAY=nowhere", "WAYLAND_SOCKET", "DISPLAY",
                                   "XDG_RUNTIME_DIR=" + dir.path().string()},
                           .args = {program, dir / "good.png"}});
    CHECK(done.status == 1);
    CHECK(contains(done.err, dir / "nowhere"));
    CHECK(contains(done.err, "DISPLAY is not set"));
}

TEST_CASE("on X11 the picture is shown when there is no Wayland") {
    need("Xvfb");
    const TempDir dir;
    write_png(known_picture(), dir / "good.png");
    const Xvfb server;
    const auto done = run({.env = {"WAYLAND_DISPLAY=nowhere", "WAYLAND_SOCKET", "DISPLAY=" + server.display(),
                                   "XDG_RUNTIME_DIR=" + dir.path().string()},
                           .args = {program, "--frames=3", "--explain=json", dir / "good.png"}});
    INFO(done.err);
    CHECK(done.status == 0);
    CHECK(contains(done.out, "mit-shm-fd"));
    CHECK(contains(done.out, "X11, because Wayland failed"));
    CHECK(contains(done.out, R"("frames":3,)"));
}

TEST_CASE("a wrong command line is one line and exit status 2") {
    const auto arguments = GENERATE(values<std::vector<std::string>>({
        {},
        {"--bogus", "x.png"},
        {"--size=0x5", "x.png"},
        {"--size=5", "x.png"},
        {"--size=99999999999x5", "x.png"},
        {"--interval=nan", "x.png"},
        {"--interval=-1", "x.png"},
        {"--frames=0", "x.png"},
        {"--frames=-1", "x.png"},
        {"--frames=99999999999999999999", "x.png"},
        {"--display=", "x.png"},
        {"--explain=xml", "x.png"},
        {"--explain=", "x.png"},
        {"--frames=", "7", "x.png"},
        {"--interval=1e400", "x.png"},
        {"--heap=", "x.png"},
        {"--once", "--frames=2", "x.png"},
        {"camera:", "x.png"},
        {"--interval=1", "camera:"},
        {""},
    }));
    ProcessOptions options{.args = {program}};
    options.args.insert(options.args.end(), arguments.begin(), arguments.end());
    const auto done = run(std::move(options));
    INFO((arguments.empty() ? "" : arguments[0]) << ": " << done.err);
    CHECK(done.status == 2);
    CHECK(std::ranges::count(done.err, '\n') == 1);
    CHECK(done.out.empty());
}

TEST_CASE("what cannot be printed costs the exit status") {
    for (const char* word : {"--version", "--help"}) {
        INFO(word);
        const auto full = run({.args = {"sh", "-c", "exec \"$0\" $1 >/dev/full", program, word}});
        CHECK(full.status == 1);
        CHECK(full.err.find("standard output") != std::string::npos);
    }
}
