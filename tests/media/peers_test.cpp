// SPDX-License-Identifier: MIT
// Pictures made by other tools, compared with other decoders. Each test names the program it misses.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <share/media/image.hpp>
#include <share/media/test_card.hpp>

#include "pictures.hpp"
#include "process.hpp"

using namespace pictures;
using testing::have_program;

namespace {

void must_run(std::vector<std::string> args) {
    const auto done = testing::run({{}, args, {}});
    INFO(args.front() << ": " << done.err);
    REQUIRE(done.status == 0);
}

/// Debian's own Python: the one whose packages are installed.
const std::string python = "/usr/bin/python3";
bool have_pil() {
    return std::filesystem::exists(python) &&
           testing::run({{}, {python, "-c", "import PIL.Image"}, {}}).status == 0;
}

/// PPM or PAM with 8 bits.
Picture load_pnm(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string magic, word;
    std::uint32_t width = 0, height = 0, depth = 3;
    in >> magic;
    if (magic == "P7") {
        while (in >> word && word != "ENDHDR") {
            if (word == "WIDTH") in >> width;
            if (word == "HEIGHT") in >> height;
            if (word == "DEPTH") in >> depth;
        }
    } else {
        in >> width >> height >> word;
        if (magic == "P5") depth = 1;
    }
    in.get();
    Picture picture{width, height, {}};
    for (std::size_t i = 0; i < std::size_t{width} * height; ++i) {
        std::uint8_t s[4] = {0, 0, 0, 255};
        in.read(reinterpret_cast<char*>(s), depth);
        picture.pixels.push_back(depth == 1 ? Pixel{s[0], s[0], s[0], 255} : Pixel{s[0], s[1], s[2], s[3]});
    }
    REQUIRE(in.good());
    return picture;
}

Picture opened(const std::string& path) {
    auto source = share::media::open_image(path);
    INFO((source.ok() ? "" : source.error().text()));
    REQUIRE(source.ok());
    auto got = show(**source);
    INFO((got.ok() ? "" : got.error().text()));
    REQUIRE(got.ok());
    return got->picture;
}

/// A photograph-like picture as PPM.
std::string source_ppm(const testing::TempDir& dir) {
    REQUIRE(share::media::write_test_card(dir / "card.jpg", 323, 201).ok());
    must_run({"djpeg", "-outfile", dir / "card.ppm", dir / "card.jpg"});
    return dir / "card.ppm";
}

} // namespace

TEST_CASE("cjpeg's files are shown as djpeg decodes them") {
    if (!have_program("cjpeg") || !have_program("djpeg")) SKIP("cjpeg or djpeg is missing");
    testing::TempDir dir;
    const std::string ppm = source_ppm(dir);
    const std::vector<std::string> options = GENERATE(
        std::vector<std::string>{"-baseline"}, std::vector<std::string>{"-progressive"},
        std::vector<std::string>{"-grayscale"}, std::vector<std::string>{"-sample", "1x1"},
        std::vector<std::string>{"-sample", "2x1"}, std::vector<std::string>{"-sample", "1x2"},
        std::vector<std::string>{"-sample", "4x1"}, std::vector<std::string>{"-rgb"},
        std::vector<std::string>{"-restart", "1"}, std::vector<std::string>{"-optimize", "-quality", "30"});
    std::vector<std::string> command{"cjpeg"};
    command.insert(command.end(), options.begin(), options.end());
    command.insert(command.end(), {"-outfile", dir / "p.jpg", ppm});
    must_run(command);
    must_run({"djpeg", "-outfile", dir / "p.ppm", dir / "p.jpg"});
    CHECK(difference(opened(dir / "p.jpg"), load_pnm(dir / "p.ppm")) == 0);
}

TEST_CASE("cwebp's files are shown as dwebp decodes them") {
    if (!have_program("cwebp") || !have_program("dwebp") || !have_program("djpeg"))
        SKIP("cwebp, dwebp or djpeg is missing");
    testing::TempDir dir;
    const std::string ppm = source_ppm(dir);
    const std::string how = GENERATE("-lossless", "-exact", "-sharp_yuv");
    must_run({"cwebp", "-quiet", how, ppm, "-o", dir / "p.webp"});
    must_run({"dwebp", "-quiet", dir / "p.webp", "-pam", "-o", dir / "p.pam"});
    const Picture mine = opened(dir / "p.webp");
    CHECK(difference(mine, load_pnm(dir / "p.pam")) == 0);
    if (how == "-lossless") CHECK(difference(mine, load_pnm(ppm)) == 0);
}

TEST_CASE("pictures made by PIL in many modes are shown as PIL shows them") {
    if (!have_pil()) SKIP("python3-pil is missing");
    testing::TempDir dir;
    REQUIRE(share::media::write_test_card(dir / "card.jpg", 161, 99).ok());
    // PIL's picture after orientation and colours, as PAM with alpha.
    const std::string head =
        "import sys\nfrom PIL import Image, ImageOps\nfolder, out, check = sys.argv[1:4]\n"
        "im = Image.open(folder + '/card.jpg')\n";
    const std::string tail = "\nim = Image.open(out)\nim = ImageOps.exif_transpose(im)\n"
                             "im = im.convert('RGBA')\n"
                             "open(check, 'wb').write(b'P7\\nWIDTH %d\\nHEIGHT %d\\nDEPTH 4\\nMAXVAL "
                             "255\\nENDHDR\\n' % im.size + im.tobytes())\n";
    struct Case {
        std::string extension, make;
        int tolerance;
    };
    const Case one =
        GENERATE(Case{"png", "im.convert('L').save(out)", 0}, Case{"png", "im.convert('1').save(out)", 0},
                 Case{"png", "im.convert('P', palette=1, colors=200).save(out)", 0},
                 Case{"png", "im.quantize(13).save(out, bits=4)", 0},
                 Case{"png", "im.putalpha(im.convert('L')); im.save(out)", 1},
                 Case{"png", "im.convert('LA').save(out)", 1},
                 Case{"jpg", "im.convert('CMYK').save(out, quality=95)", 1},
                 Case{"jpg", "e = Image.Exif(); e[0x112] = 6; im.save(out, exif=e)", 0},
                 Case{"jpg", "e = Image.Exif(); e[0x112] = 7; im.save(out, exif=e, progressive=True)", 0},
                 Case{"png", "e = Image.Exif(); e[0x112] = 8; im.save(out, exif=e)", 0},
                 Case{"webp", "e = Image.Exif(); e[0x112] = 5; im.save(out, exif=e, lossless=True)", 0},
                 Case{"webp", "im.putalpha(im.convert('L')); im.save(out, quality=80)", 1});
    INFO(one.make);
    must_run({python, "-c", head + one.make + tail, dir.path().string(), dir / ("p." + one.extension),
              dir / "p.pam"});
    CHECK(difference(opened(dir / ("p." + one.extension)), premultiplied(load_pnm(dir / "p.pam"))) <=
          one.tolerance);
}
