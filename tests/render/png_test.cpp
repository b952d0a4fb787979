// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <png.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <vector>

#include "backend/png_file.hpp"
#include "backend/png_writer.hpp"
#include "png_support.hpp"
#include "process.hpp"

using compositor::backend::write_png;

TEST_CASE("a PNG reads back pixel by pixel, and nothing else lies beside it") {
    const testing::TempDir dir;
    std::vector<std::uint32_t> pixels;
    for (std::uint32_t i = 0; i < 33 * 17; ++i)
        pixels.push_back(i * 2654435761U & 0xffffff);
    REQUIRE(write_png(dir / "a.png", 33, 17, pixels));
    CHECK(testing::read_png(dir / "a.png") == pixels);
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("an earlier picture is replaced, also through a link") {
    const testing::TempDir dir;
    REQUIRE(write_png(dir / "a.png", 1, 1, std::vector<std::uint32_t>{0x112233}));
    std::filesystem::create_symlink("a.png", dir / "link.png");
    REQUIRE(write_png(dir / "link.png", 1, 1, std::vector<std::uint32_t>{0x445566}));
    CHECK(testing::read_png(dir / "a.png") == std::vector<std::uint32_t>{0x445566});
    CHECK(std::filesystem::is_symlink(dir / "link.png"));
}

TEST_CASE("a folder, a device or a missing folder is refused by name and left as it is") {
    const testing::TempDir dir;
    const std::vector<std::uint32_t> pixel{0};
    for (const auto& path : {dir.path().string(), std::string("/dev/null"), dir / "none/a.png"}) {
        const auto refused = write_png(path, 1, 1, pixel);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().text().find(path) != std::string::npos);
    }
    CHECK(std::filesystem::is_character_file("/dev/null"));
}

TEST_CASE("when the file cannot grow, no half picture is left and the old one stays") {
    const testing::TempDir dir;
    REQUIRE(write_png(dir / "a.png", 1, 1, std::vector<std::uint32_t>{0x778899}));
    std::vector<std::uint32_t> pixels;
    for (std::uint32_t i = 0; i < 200 * 200; ++i)
        pixels.push_back(i * 2654435761U);
    const auto before = testing::count_fds();
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    const rlimit tiny{4096, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tiny);
    const auto refused = write_png(dir / "a.png", 200, 200, pixels);
    setrlimit(RLIMIT_FSIZE, &old);
    REQUIRE_FALSE(refused);
    CHECK(testing::read_png(dir / "a.png") == std::vector<std::uint32_t>{0x778899});
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
    CHECK(testing::count_fds() == before);
}

TEST_CASE("pictures written beside the event loop are complete at the end, the last one of each file wins") {
    const testing::TempDir dir;
    struct Heard final : compositor::backend::PngWriter::Listener {
        void written(const std::string& path, const share::Result<void>& result) override {
            (result ? good : refused).push_back(path);
        }
        std::vector<std::string> good, refused;
    } heard; // read after finish() only
    compositor::backend::PngWriter writer(heard);
    const auto of = [](std::uint32_t color) {
        return std::vector<std::uint32_t>(std::size_t{512} * 512, color);
    };
    for (std::uint32_t i = 1; i <= 20; ++i)
        writer.put({dir / "a.png", 512, 512, of(i)});
    writer.put({dir / "none/b.png", 512, 512, of(1)});
    writer.put({dir / "c.png", 512, 512, of(2)});
    writer.finish();
    CHECK(testing::read_png(dir / "a.png") == of(20));
    CHECK(testing::read_png(dir / "c.png") == of(2));
    CHECK(heard.good.back() == dir / "c.png");
    CHECK(heard.refused == std::vector<std::string>{dir / "none/b.png"});
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 2);

    writer.put({dir / "c.png", 512, 512, of(3)}); // it can be used again
    writer.finish();
    CHECK(testing::read_png(dir / "c.png") == of(3));
}
