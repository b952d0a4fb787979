// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <set>

#include <share/media/test_card.hpp>

#include "pictures.hpp"
#include "process.hpp"

using namespace pictures;

TEST_CASE(
    "the test card is a baseline 4:2:0 JPEG of the size asked for, the same each time, with known patches") {
    testing::TempDir dir;
    const std::string path = dir / "card.jpg";
    REQUIRE(share::media::write_test_card(path, 480, 270).ok());
    auto source = share::media::open_image(path);
    REQUIRE(source.ok());
    auto got = show(**source);
    REQUIRE(got.ok());
    CHECK(got->info.width == 480);
    CHECK(got->info.height == 270);
    CHECK(got->step.reason.starts_with("JPEG, YCbCr 4:2:0: "));
    const Pixel white = got->picture.at(480 * 37 / 56, 259); // the 19th of 28 places
    CHECK((white.r > 235 && white.g > 235 && white.b > 235));
    std::set<std::uint32_t> colors;
    for (const Pixel& p : got->picture.pixels)
        colors.insert(p.r << 16U | p.g << 8U | p.b);
    CHECK(colors.size() > 10'000); // a picture, not a flat field
    const Bytes before = load(path);
    REQUIRE(share::media::write_test_card(path, 480, 270).ok());
    CHECK(load(path) == before);
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1); // no temporary file stays
}

TEST_CASE("a test card that cannot be written is an error and leaves nothing") {
    testing::TempDir dir;
    CHECK(share::media::write_test_card(dir / "no/folder.jpg", 64, 64).error().code ==
          share::Code::unavailable);
    CHECK_FALSE(share::media::write_test_card("/dev/full/card.jpg", 64, 64).ok());
    CHECK(share::media::write_test_card(dir / "c.jpg", 4, 64).error().code == share::Code::invalid_argument);
    CHECK(share::media::write_test_card(dir / "c.jpg", 64, 100'000).error().code ==
          share::Code::invalid_argument);
    std::filesystem::create_directory(dir / "taken.jpg");
    CHECK_FALSE(share::media::write_test_card(dir / "taken.jpg", 64, 64).ok());
    CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("the test card can have any shape") {
    testing::TempDir dir;
    for (const auto& [width, height] : {std::pair{16U, 16U}, {33U, 400U}, {700U, 17U}}) {
        REQUIRE(share::media::write_test_card(dir / "c.jpg", width, height).ok());
        auto got = show(load(dir / "c.jpg"));
        REQUIRE(got.ok());
        CHECK((got->info.width == width && got->info.height == height));
    }
}
