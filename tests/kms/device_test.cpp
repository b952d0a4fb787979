// SPDX-License-Identifier: MIT
// What can be said of devices where there is none; the rest is tests/vm/kms_test.cpp.
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>

#include <share/kms/device.hpp>
#include <share/kms/dumb_heap.hpp>

#include "process.hpp"

using share::Code;
using share::kms::Device;

TEST_CASE("opening what is no display controller says so and keeps no fd", "[kms][device]") {
    const auto before = testing::count_fds();
    auto absent = Device::open("/dev/dri/card-none");
    REQUIRE_FALSE(absent);
    CHECK(absent.error().code == Code::unavailable);
    CHECK(absent.error().text().find("opening /dev/dri/card-none: this machine has no such") == 0);
    auto wrong = Device::open("/dev/null");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().text().find("no DRM device") != std::string::npos);
    CHECK(wrong.error().text().find("/dev/null") != std::string::npos);
    CHECK_FALSE(Device::adopt(share::UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC))));
    CHECK_FALSE(Device::adopt(share::UniqueFd()));
    CHECK(testing::count_fds() == before);
}

TEST_CASE("a driver that is not there is told with what was tried", "[kms][device]") {
    auto none = Device::find("no-such-driver");
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::unavailable);
    CHECK(none.error().text().find("driver no-such-driver") != std::string::npos);
    for (const auto& node : Device::nodes())
        CHECK(none.error().text().find(node) != std::string::npos);
    if (Device::nodes().empty()) CHECK(none.error().text().find("/dev/dri has no card") != std::string::npos);
}

TEST_CASE("the table of heaps gets a dumb heap for each card, or the reason", "[kms][dumb]") {
    share::HeapTable table;
    share::kms::add_dumb_heaps(table);
    REQUIRE_FALSE(table.entries().empty());
    for (const auto& entry : table.entries()) {
        CHECK(entry.name.starts_with("dumb"));
        if (entry.heap)
            CHECK(entry.heap->name() == entry.name);
        else
            CHECK_FALSE(entry.reason.text().empty());
    }
}
