// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <nlohmann/json.hpp>

#include <share/ledger.hpp>

using namespace share;

namespace {

FrameRecord frame(std::uint64_t number) {
    FrameRecord record{number, "photo.jpg", {}};
    record.steps.push_back({"decode", Mechanism::decode, By::us, 0, 0, "rows land in the shared buffer"});
    record.steps.push_back({"share", Mechanism::wl_shm, By::us, 0, 0, "no dma-buf here"});
    record.steps.push_back({"present", Mechanism::wl_shm, By::compositor, std::nullopt, 0, "its own upload"});
    record.steps.push_back({"present", Mechanism::mit_shm_fd, By::server, 400, 100, "ShmPutImage"});
    return record;
}

} // namespace

TEST_CASE("the ledger adds up who copied what, and counts what a peer hides", "[ledger]") {
    Ledger ledger("share-test", 2);
    for (std::uint64_t i = 1; i <= 5; ++i)
        ledger.add(frame(i));
    const auto& totals = ledger.totals();
    CHECK(totals.frames == 5);
    CHECK(totals.copied_by_us == 0);
    CHECK(totals.copied_by_server == 2000);
    CHECK(totals.copied_by_compositor == 0);
    CHECK(totals.converted == 500);
    CHECK(totals.unknown_steps == 5);
    CHECK(totals.frames_by_mechanism.at("wl_shm") == 5); // once a frame, though two steps name it
    CHECK(ledger.frames().size() == 2);
    CHECK(ledger.frames().back().frame == 5);
}

TEST_CASE("a frame's JSON has null where a peer's copy cannot be seen", "[ledger]") {
    Ledger ledger("share-test");
    const auto line = ledger.json(frame(3));
    CHECK(line.find('\n') == std::string::npos);
    const auto value = nlohmann::json::parse(line);
    CHECK(value.at("v") == 1);
    CHECK(value.at("type") == "frame");
    CHECK(value.at("frame") == 3);
    CHECK(value.at("steps").size() == 4);
    CHECK(value.at("steps")[0].at("mechanism") == "decode");
    CHECK(value.at("steps")[0].at("bytes_copied") == 0);
    CHECK(value.at("steps")[2].at("bytes_copied").is_null());
    CHECK(value.at("steps")[2].at("by") == "compositor");
}

TEST_CASE("the summary holds notes and totals, and any bytes in a name stay valid JSON", "[ledger]") {
    Ledger ledger("share-test");
    ledger.note("path", "udmabuf: \xff\xfe not there");
    ledger.add(frame(1));
    const auto value = nlohmann::json::parse(ledger.json_summary());
    CHECK(value.at("type") == "summary");
    CHECK(value.at("notes").size() == 1);
    CHECK(value.at("totals").at("copied_by_server") == 400);
    CHECK(ledger.table().find("total copied: 0 bytes by us, 400 by the X server") != std::string::npos);
}
