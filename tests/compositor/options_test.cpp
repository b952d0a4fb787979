// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "../../compositor-demo/options.hpp"

#include <algorithm>

using namespace compositor;

namespace {
std::variant<Options, Exit> parse(std::vector<const char*> words) {
    words.insert(words.begin(), "share-compositor");
    words.push_back(nullptr);
    return parse_options(static_cast<int>(words.size()) - 1, words.data());
}
} // namespace

TEST_CASE("sizes are WxH within 1..16384 and nothing else") {
    CHECK(parse_size("1920x1080") == std::pair{1920, 1080});
    CHECK(parse_size("1x1") == std::pair{1, 1});
    for (const char* bad : {"", "x", "0x1", "1x0", "-1x5", "1920", "1920x", "x1080", "1920x1080x", "1e3x4",
                            " 1x1", "16385x1", "99999999999999999999x1", "1920X1080", "+5x5"})
        CHECK_FALSE(parse_size(bad));
}

TEST_CASE("refresh rates are finite, not negative, and may be fractional") {
    CHECK(parse_refresh("60") == 60'000);
    CHECK(parse_refresh("59.94") == 59'940);
    CHECK(parse_refresh("0") == 0);
    for (const char* bad :
         {"", "nan", "inf", "-inf", "-1", "-0", "1e9", "60Hz", "0.0001", "0x10", "60,5", "1e400"})
        CHECK_FALSE(parse_refresh(bad));
}

TEST_CASE("a bad command line exits with status 2 and one line that names the culprit") {
    const auto words = GENERATE(
        std::vector<const char*>{"--size=nonsense"}, std::vector<const char*>{"--size="},
        std::vector<const char*>{"--refresh=nan"}, std::vector<const char*>{"--refresh=-1"},
        std::vector<const char*>{"--backend=drm"}, std::vector<const char*>{"--renderer=vulkan"},
        std::vector<const char*>{"--renderer="}, std::vector<const char*>{"--socket="},
        std::vector<const char*>{"--screenshot="}, std::vector<const char*>{"--explain=xml"},
        std::vector<const char*>{"--no-such-option"}, std::vector<const char*>{"word"},
        std::vector<const char*>{""}, std::vector<const char*>{"--size"}, std::vector<const char*>{"--"},
        std::vector<const char*>{"--", ""}, std::vector<const char*>{"--size=1x1", "--size=2x2"});
    const auto result = parse(words);
    REQUIRE(std::holds_alternative<Exit>(result));
    const Exit& exit = std::get<Exit>(result);
    CHECK(exit.status == 2);
    CHECK(std::count(exit.text.begin(), exit.text.end(), '\n') == 1);
    CHECK(exit.text.starts_with("share-compositor: "));
}

TEST_CASE("help and version exit with status 0") {
    for (const char* word : {"--help", "--version"}) {
        const auto result = parse({word});
        REQUIRE(std::holds_alternative<Exit>(result));
        CHECK(std::get<Exit>(result).status == 0);
        CHECK(std::get<Exit>(result).text.find("share-compositor") != std::string::npos);
    }
}

TEST_CASE("no arguments at all, not even a program name, means the defaults") {
    const char* const none[] = {nullptr};
    const auto result = parse_options(0, none);
    REQUIRE(std::holds_alternative<Options>(result));
    CHECK(std::get<Options>(result).width == 1280);
}

TEST_CASE("everything behind -- is the command, options included") {
    const auto result = parse(
        {"--size=640x480", "--refresh=0", "--explain=json", "--renderer=pixman", "--", "foot", "--help"});
    REQUIRE(std::holds_alternative<Options>(result));
    const Options& options = std::get<Options>(result);
    CHECK(options.width == 640);
    CHECK(options.refresh_mhz == 0);
    CHECK(options.explain == Explain::json);
    CHECK(options.command == std::vector<std::string>{"foot", "--help"});
}

TEST_CASE("--explain alone asks for the table") {
    const auto result = parse({"--explain", "--size=64x64"});
    REQUIRE(std::holds_alternative<Options>(result));
    CHECK(std::get<Options>(result).explain == Explain::table);
}
