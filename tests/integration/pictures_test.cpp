// SPDX-License-Identifier: MIT
// Pictures of every kind, made by other tools or shipped by Debian packages: share-producer shows them on
// share-compositor, and the screenshot is compared with what an independent decoder makes of the file.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <signal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "display_servers.hpp"

using namespace integration;
using testing::Picture;
using testing::Rgb;

namespace {

namespace fs = std::filesystem;

constexpr int screen_width = 1000, screen_height = 800;

struct Rgba {
    std::uint8_t r, g, b, a;
};

struct Expected {
    int width = 0, height = 0;
    std::vector<Rgba> pixels; ///< not premultiplied
};

std::string text_of(const testing::ProcessOptions& options) {
    const auto done = testing::run(options);
    return done.status == 0 ? done.out : std::string();
}

/// By ImageMagick, which shares no code of ours; oriented as a viewer would.
std::optional<Expected> decode_independently(const testing::TempDir& dir, const std::string& file) {
    const std::string raw = dir / "expected.rgba";
    const std::string size =
        text_of({.args = {"convert", file + "[0]", "-auto-orient", "-colorspace", "sRGB", "-depth", "8",
                          "-format", "%w %h", "-write", "RGBA:" + raw, "info:"}});
    Expected expected;
    if (std::sscanf(size.c_str(), "%d %d", &expected.width, &expected.height) != 2) return std::nullopt;
    std::ifstream in(raw, std::ios::binary);
    expected.pixels.resize(static_cast<std::size_t>(expected.width) *
                           static_cast<std::size_t>(expected.height));
    if (!in.read(reinterpret_cast<char*>(expected.pixels.data()),
                 static_cast<std::streamsize>(expected.pixels.size() * 4)))
        return std::nullopt;
    return expected;
}

Picture over(const Expected& expected, const Rgb& background) {
    Picture result{expected.width, expected.height, {}};
    for (const auto& p : expected.pixels) {
        const auto mix = [&](std::uint8_t above, std::uint8_t below) {
            return static_cast<std::uint8_t>(std::lround((above * p.a + below * (255 - p.a)) / 255.0));
        };
        result.pixels.push_back({mix(p.r, background.r), mix(p.g, background.g), mix(p.b, background.b)});
    }
    return result;
}

struct Kind {
    std::string name;
    std::vector<std::string>
        command;   ///< {} in words: the card as PPM; the last word is the file that it makes
    int tolerance; ///< of a channel: what two decoders of this format may differ by
};

std::vector<Kind> kinds() {
    // The system's own Python: another one in PATH need not have Debian's PIL.
    const std::string rotate =
        "from PIL import Image; import sys; im = Image.open(sys.argv[1]); e = im.getexif(); "
        "e[0x112] = 6; im.save(sys.argv[2], quality=92, exif=e)";
    return {
        {"baseline JPEG, 4:2:0", {"cjpeg", "-quality", "90", "-outfile", "a.jpg", "{}"}, 2},
        {"progressive JPEG, 4:4:4",
         {"cjpeg", "-progressive", "-sample", "1x1", "-outfile", "b.jpg", "{}"},
         2},
        {"grey JPEG", {"cjpeg", "-grayscale", "-outfile", "c.jpg", "{}"}, 2},
        {"CMYK JPEG", {"convert", "{}", "-colorspace", "CMYK", "-quality", "92", "d.jpg"}, 3},
        {"JPEG turned by Exif", {"/usr/bin/python3", "-c", rotate, "{}", "e.jpg"}, 2},
        {"PNG", {"convert", "{}", "f.png"}, 0},
        {"interlaced PNG", {"convert", "{}", "-interlace", "PNG", "g.png"}, 0},
        {"palette PNG", {"convert", "{}", "-colors", "64", "PNG8:h.png"}, 0},
        {"16 bit PNG", {"convert", "{}", "-evaluate", "multiply", "0.73", "PNG48:i.png"}, 1},
        {"grey PNG", {"convert", "{}", "-colorspace", "Gray", "j.png"}, 0},
        {"PNG with alpha",
         {"convert", "{}", "(", "+clone", "-colorspace", "Gray", ")", "-alpha", "off", "-compose",
          "CopyOpacity", "-composite", "PNG32:k.png"},
         2},
        {"lossless WebP", {"cwebp", "-quiet", "-lossless", "{}", "-o", "l.webp"}, 0},
        {"lossy WebP", {"cwebp", "-quiet", "-q", "80", "{}", "-o", "m.webp"}, 2},
    };
}

std::string file_of(const Kind& kind) {
    for (const auto& word : kind.command) {
        const auto colon = word.find(':');
        const std::string name = colon == std::string::npos ? word : word.substr(colon + 1);
        if (name.size() > 4 && name[1] == '.') return name;
    }
    return {};
}

/// Makes the picture in `dir`; empty when the tool is not installed or fails.
std::string make(const Kind& kind, const testing::TempDir& dir, const std::string& card) {
    if (!testing::have_program(kind.command[0])) return {};
    std::vector<std::string> args = kind.command;
    const std::string file = file_of(kind);
    for (auto& word : args) {
        if (word == "{}") word = card;
        if (const auto at = word.find(file); at != std::string::npos && word.size() < 12)
            word.insert(at, dir.path().string() + "/");
    }
    const auto done = testing::run({.args = args});
    INFO(done.err);
    return fs::exists(dir / file) ? dir / file : std::string();
}

/// Shows `file` and compares; nothing else is on the screen.
void check_shown(Compositor& compositor, const testing::TempDir& dir, const std::string& file,
                 const Rgb& background, int tolerance) {
    const auto expected = decode_independently(dir, file);
    REQUIRE(expected);
    REQUIRE(expected->width <= screen_width);
    REQUIRE(expected->height <= screen_height);
    const Picture wanted = over(*expected, background);
    testing::Process producer({.env = compositor.env(), .args = integration::producer({file})});
    testing::Difference difference;
    testing::eventually(
        [&] {
            const auto screen = compositor.screenshot();
            if (screen)
                difference = testing::difference_at(*screen, (screen_width - wanted.width) / 2,
                                                    (screen_height - wanted.height) / 2, wanted);
            return difference.largest <= tolerance || !producer.running();
        },
        std::chrono::seconds(8));
    INFO(producer.err() << compositor.process().err());
    CHECK(difference.largest <= tolerance);
    producer.signal(SIGINT);
    CHECK(producer.wait(std::chrono::seconds(10)) == 0);
    // The next picture must not meet this window.
    testing::eventually([&] {
        const auto screen = compositor.screenshot();
        return screen && screen->at(screen_width / 2, screen_height / 2) == background;
    });
}

std::vector<fs::path> pictures_of_packages() {
    std::vector<fs::path> found;
    for (const char* folder : {"/usr/share/weston", "/usr/share/pixmaps", "/usr/share/backgrounds",
                               "/usr/share/wallpapers", "/usr/share/images"}) {
        std::error_code error;
        for (const auto& entry :
             fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error)) {
            const auto ending = entry.path().extension();
            if ((ending == ".png" || ending == ".jpg" || ending == ".webp") && entry.is_regular_file(error))
                found.push_back(entry.path());
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

} // namespace

TEST_CASE("a picture made by another tool is on the screen as an independent decoder sees it", "[pictures]") {
    const auto renderer = GENERATE(std::string("pixman"), std::string("gl"));
    if (!testing::have_program("convert")) SKIP("ImageMagick's convert is not installed");
    const testing::TempDir dir;
    const std::string jpeg = test_card(dir, 487, 301); // odd on purpose: subsampled edges
    const std::string card = dir / "card.ppm";
    REQUIRE(testing::run({.args = {"convert", jpeg, card}}).status == 0);
    Compositor compositor({.renderer = renderer, .width = screen_width, .height = screen_height});
    const auto empty = compositor.screenshot();
    REQUIRE(empty);
    const Rgb background = empty->at(screen_width / 2, screen_height / 2);
    unsigned shown = 0;
    for (const auto& kind : kinds()) {
        CAPTURE(renderer, kind.name);
        const std::string file = make(kind, dir, card);
        if (file.empty()) {
            WARN(kind.name << " was not compared: " << kind.command[0]
                           << " is not installed or cannot make it");
            continue;
        }
        check_shown(compositor, dir, file, background, kind.tolerance);
        ++shown;
    }
    CHECK(shown >= 6);
    CHECK(compositor.stop() == 0);
}

TEST_CASE("pictures that Debian packages ship are on the screen as an independent decoder sees them",
          "[pictures]") {
    if (!testing::have_program("convert")) SKIP("ImageMagick's convert is not installed");
    const testing::TempDir dir;
    Compositor compositor({.renderer = "pixman", .width = screen_width, .height = screen_height});
    const auto empty = compositor.screenshot();
    REQUIRE(empty);
    const Rgb background = empty->at(screen_width / 2, screen_height / 2);
    unsigned shown = 0;
    for (const auto& file : pictures_of_packages()) {
        // Profiles and gamma are libshare-media's own tests: tools disagree about them.
        int width = 0, height = 0, profiles = 0;
        const std::string about =
            text_of({.args = {"identify", "-format", "%w %h %[profile:icc]\n", file.string() + "[0]"}});
        if (std::sscanf(about.c_str(), "%d %d", &width, &height) != 2 || width > screen_width ||
            height > screen_height)
            continue;
        profiles = about.find_first_not_of(" 0123456789\n") == std::string::npos ? 0 : 1;
        if (profiles > 0 || shown >= 8) continue;
        CAPTURE(file.string());
        check_shown(compositor, dir, file, background, 2);
        ++shown;
    }
    if (shown == 0) SKIP("no package with pictures is installed");
}
