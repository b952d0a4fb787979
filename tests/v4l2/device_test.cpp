// SPDX-License-Identifier: MIT
// What is said where there is no device, or another one than was wanted. With devices: tests/vm.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include "process.hpp"

#include <share/v4l2/buffers.hpp>
#include <share/v4l2/camera.hpp>
#include <share/v4l2/m2m.hpp>

using namespace share;
using namespace share::v4l2;

TEST_CASE("a path that is no video device is refused with its name, and no fd stays open", "[v4l2]") {
    const testing::TempDir dir;
    const auto before = testing::count_fds();
    {
        const auto none = Device::open(dir / "video7");
        REQUIRE_FALSE(none);
        CHECK(none.error().code == Code::unavailable);
        CHECK(none.error().text().find(dir / "video7") != std::string::npos);
        CHECK(none.error().detail.find("plugged in") != std::string::npos);
    }
    const std::string path = GENERATE(as<std::string>(), "/dev/null", "/dev/zero");
    const auto other = Device::open(path);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Code::unsupported);
    CHECK(other.error().text().find(path + ": it is no V4L2 device") != std::string::npos);
    CHECK(testing::count_fds() == before);
}

TEST_CASE("a device that is nowhere is not found, and the text says what is there", "[v4l2]") {
    const auto before = testing::count_fds();
    const auto device = Device::find("no-such-driver", Kind::m2m);
    REQUIRE_FALSE(device);
    CHECK(device.error().code == Code::unavailable);
    CHECK(device.error().operation == "finding a memory-to-memory video device of driver no-such-driver");
    if (Device::list().empty())
        CHECK_FALSE(device.error().detail.empty());
    else
        CHECK(device.error().detail.find("none among: ") == 0);
    CHECK(testing::count_fds() == before);
}

TEST_CASE("buffers for a device begin on pages of their own in one file, and hold what the driver asked for",
          "[v4l2]") {
    auto heaps = HeapTable::probe();
    auto heap = heaps.find("memfd");
    REQUIRE(heap);
    Answer answer{fourcc('X', 'R', '2', '4'), 100, 10, 1, 1, {}};
    answer.memory[0] = {400, 4001};
    const auto format = check_answer(answer);
    REQUIRE(format);
    const auto before = testing::count_fds();
    {
        const auto buffers = make_buffers(**heap, *format, 3, "device test");
        REQUIRE(buffers);
        REQUIRE(buffers->size() == 3);
        for (std::size_t i = 0; i < 3; ++i) {
            CHECK((*buffers)[i]->offset() == i * 4096);
            CHECK((*buffers)[i]->layout().size() == 4001);
            CHECK((*buffers)[i]->memory() == (*buffers)[0]->memory());
        }
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("planes in several memories get a file each", "[v4l2]") {
    auto heaps = HeapTable::probe();
    auto heap = heaps.find("memfd");
    REQUIRE(heap);
    Answer answer{fourcc('N', 'M', '1', '2'), 64, 64, 1, 2, {}};
    answer.memory[0] = {64, 64 * 64};
    answer.memory[1] = {64, 64 * 32};
    const auto format = check_answer(answer);
    REQUIRE(format);
    const auto buffers = make_buffers(**heap, *format, 2, "device test");
    REQUIRE(buffers);
    CHECK((*buffers)[0]->memory(0) != (*buffers)[0]->memory(1));
    CHECK((*buffers)[0]->memory(0) != (*buffers)[1]->memory(0));
    CHECK((*buffers)[1]->memory(1)->size() >= 64 * 32);
}
