// SPDX-License-Identifier: MIT
// IN_FORMATS blobs, good and hostile, built by hand from drm_mode.h's description.
#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <limits>
#include <random>

#include <share/kms/formats.hpp>

namespace {

using share::FormatModifier;
using share::kms::parse_in_formats;

struct Head {
    std::uint32_t version = 1, flags = 0, format_count = 0, formats_at = 0, modifier_count = 0,
                  modifiers_at = 0;
};
struct Record {
    std::uint64_t formats = 0;
    std::uint32_t offset = 0, pad = 0;
    std::uint64_t modifier = 0;
};

struct Blob {
    Head head;
    std::vector<share::Fourcc> formats;
    std::vector<Record> records;

    /// The head is written as it is: wrong numbers stay wrong.
    std::vector<std::byte> bytes() const {
        std::vector<std::byte> data(sizeof head + formats.size() * 4 + records.size() * sizeof(Record));
        std::memcpy(data.data(), &head, sizeof head);
        if (!formats.empty()) std::memcpy(data.data() + sizeof head, formats.data(), formats.size() * 4);
        if (!records.empty())
            std::memcpy(data.data() + sizeof head + formats.size() * 4, records.data(),
                        records.size() * sizeof(Record));
        return data;
    }
};

Blob make(std::vector<share::Fourcc> formats, std::vector<Record> records) {
    Blob blob{{}, std::move(formats), std::move(records)};
    blob.head.format_count = static_cast<std::uint32_t>(blob.formats.size());
    blob.head.formats_at = sizeof(Head);
    blob.head.modifier_count = static_cast<std::uint32_t>(blob.records.size());
    blob.head.modifiers_at = static_cast<std::uint32_t>(sizeof(Head) + blob.formats.size() * 4);
    return blob;
}

constexpr std::uint64_t tiled = 0x0100'0000'0000'0002ULL;
constexpr auto xr24 = share::format::xrgb8888;
constexpr auto rg16 = share::format::rgb565;

std::string refused(const Blob& blob) {
    auto pairs = parse_in_formats(blob.bytes());
    REQUIRE_FALSE(pairs);
    CHECK(pairs.error().operation.find("IN_FORMATS") != std::string::npos);
    return pairs.error().text();
}

} // namespace

TEST_CASE("a plane's blob gives each format with the modifiers whose bit is set", "[kms][formats]") {
    auto pairs = parse_in_formats(make({xr24, rg16}, {{0b11, 0, 0, 0}, {0b10, 0, 0, tiled}}).bytes());
    REQUIRE(pairs);
    CHECK(*pairs == std::vector<FormatModifier>{{xr24, 0}, {rg16, 0}, {rg16, tiled}});
    CHECK(share::kms::formats_text(*pairs) == "XR24 (linear), RG16 (linear, 0x0100000000000002)");
    CHECK(share::kms::formats_text({}) == "none");
}

TEST_CASE("a modifier's window of 64 formats may begin anywhere", "[kms][formats]") {
    std::vector<share::Fourcc> formats(130, rg16);
    formats[128] = xr24;
    auto pairs =
        parse_in_formats(make(formats, {{1, 128, 0, tiled}, {std::uint64_t{1} << 63, 1, 0, 0}}).bytes());
    REQUIRE(pairs);
    CHECK(*pairs == std::vector<FormatModifier>{{rg16, 0}, {xr24, tiled}});
}

TEST_CASE("a blob without formats or modifiers is empty, not wrong", "[kms][formats]") {
    auto none = parse_in_formats(make({}, {}).bytes());
    REQUIRE(none);
    CHECK(none->empty());
    auto formats_only = parse_in_formats(make({xr24}, {}).bytes());
    REQUIRE(formats_only);
    CHECK(formats_only->empty());
}

TEST_CASE("a blob that is shorter than it says is refused with what is wrong", "[kms][formats]") {
    for (std::size_t size = 0; size < sizeof(Head); ++size)
        CHECK_FALSE(parse_in_formats(std::vector<std::byte>(size)));
    const Blob good = make({xr24, rg16}, {{0b11, 0, 0, 0}});
    const auto whole = good.bytes();
    for (std::size_t size = sizeof(Head); size < whole.size(); ++size)
        CHECK_FALSE(parse_in_formats(std::span(whole).first(size)));

    Blob blob = good;
    blob.head.format_count = std::numeric_limits<std::uint32_t>::max();
    CHECK(refused(blob).find("4294967295 formats from byte 24") != std::string::npos);
    blob = good;
    blob.head.formats_at = std::numeric_limits<std::uint32_t>::max();
    CHECK(refused(blob).find("2 formats from byte 4294967295") != std::string::npos);
    blob = good;
    blob.head.modifier_count = 0x2000'0000; // times 24 wraps 32 bits
    CHECK(refused(blob).find("536870912 modifiers") != std::string::npos);
    blob = good;
    blob.head.modifiers_at = static_cast<std::uint32_t>(whole.size() - 1);
    CHECK(refused(blob).find("1 modifiers from byte 55") != std::string::npos);
}

TEST_CASE("a blob of another version, or with a bit for a format that it lacks, is refused",
          "[kms][formats]") {
    Blob blob = make({xr24}, {{1, 0, 0, 0}});
    blob.head.version = 2;
    auto other = parse_in_formats(blob.bytes());
    REQUIRE_FALSE(other);
    CHECK(other.error().code == share::Code::unsupported);
    CHECK(other.error().text().find("version 2") != std::string::npos);

    CHECK(refused(make({xr24}, {{0b10, 0, 0, 0}})).find("names format 1 of 1") != std::string::npos);
    CHECK(refused(make({xr24}, {{1, 0xffff'ffffU, 0, 0}})).find("names format 4294967295 of 1") !=
          std::string::npos);
}

TEST_CASE("random bytes never lead the parser outside the blob", "[kms][formats]") {
    std::mt19937 random(4711); // NOLINT: the same every time
    for (int round = 0; round < 20'000; ++round) {
        // Of exactly its size on the heap: a sanitizer sees a byte too far.
        std::vector<std::byte> data(random() % 96);
        for (auto& byte : data)
            byte = static_cast<std::byte>(random() % 4 == 0 ? random() : random() % 64);
        if (data.size() >= 4) std::memcpy(data.data(), "\1\0\0\0", 4);
        auto pairs = parse_in_formats(data);
        if (pairs) CHECK(pairs->size() <= data.size() * data.size());
    }
}
