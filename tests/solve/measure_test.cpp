// SPDX-License-Identifier: MIT
// The searches against invented devices whose needs are known: what is found is what they have.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <share/measure.hpp>

using namespace share;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr FormatModifier pair{format::xrgb8888, modifier::linear};

/// Refuses what it cannot take, as a driver does.
struct Device {
    std::uint32_t stride = 1, offset = 1, height = 1, max_width = 16384, max_height = 16384;
    int tries = 0;

    Attempt attempt() {
        return [this](const Layout& layout) -> Result<std::string> {
            ++tries;
            const Plane& plane = layout.plane(0);
            const std::uint64_t rows = (layout.height() + height - 1) / height * height;
            CHECK(plane.offset + std::uint64_t{plane.stride} * layout.height() <= layout.size());
            if (plane.stride % stride != 0) return std::string("EINVAL for the stride");
            if (plane.offset % offset != 0) return std::string("EINVAL for the offset");
            if (plane.offset + rows * plane.stride > layout.size()) return std::string("too small");
            if (layout.width() > max_width || layout.height() > max_height) return std::string("too large");
            return std::string();
        };
    }
};

} // namespace

TEST_CASE("what an invented device needs of strides, offsets and rows is found as it is") {
    Device device{.stride = GENERATE(4U, 16U, 64U, 256U, 512U, 4096U),
                  .offset = GENERATE(4U, 64U, 4096U),
                  .height = GENERATE(1U, 2U, 16U, 64U)};
    CAPTURE(device.stride, device.offset, device.height);
    Requirements party{.party = "invented"};
    REQUIRE(measure_layout(party, pair, device.attempt(), {}));
    CHECK(party.stride_align == device.stride);
    CHECK(party.offset_align == device.offset);
    CHECK(party.height_align == device.height);
    for (const Need need : {Need::stride, Need::offset, Need::height_padding}) {
        const auto* known = find_known(party, need);
        REQUIRE(known);
        CHECK(known->state == ProbeState::good);
    }
    if (device.stride > 4) CHECK_THAT(find_known(party, Need::stride)->from, ContainsSubstring("EINVAL"));
    CHECK(device.tries <= 24); // affordable at a start
}

TEST_CASE("a device that takes everything has alignments of one pixel: nothing less was tried") {
    Device device;
    Requirements party{.party = "easy"};
    REQUIRE(measure_layout(party, pair, device.attempt(), {}));
    CHECK(party.stride_align == 4);
    CHECK(party.offset_align == 4);
    CHECK(party.height_align == 1);
    REQUIRE(measure_layout(party, {format::r8, modifier::linear}, device.attempt(), {}));
    CHECK(party.stride_align == 1);
}

TEST_CASE("a device that takes nothing keeps its needs as they were, unprobeable with the reason") {
    Requirements party{.party = "stubborn"};
    party.stride_align = 128;
    const Attempt refuse = [](const Layout&) -> Result<std::string> { return std::string("EPERM"); };
    REQUIRE(measure_layout(party, pair, refuse, {}));
    CHECK(party.stride_align == 128);
    const auto* known = find_known(party, Need::stride);
    REQUIRE(known);
    CHECK(known->state == ProbeState::unprobeable);
    CHECK_THAT(known->from, ContainsSubstring("EPERM"));
}

TEST_CASE("sizes are tried as claimed, then halved while they are refused; nothing above is tried") {
    Device device{.max_width = GENERATE(8192U, 16384U), .max_height = 16384};
    Requirements party{.party = "screen"};
    REQUIRE(measure_extent(party, pair, {16384, 4096, 1, 1}, device.attempt(), {}));
    CHECK(party.max_width == device.max_width);
    CHECK(party.max_height == 4096);
    CHECK(find_known(party, Need::max_picture)->state == ProbeState::good);
    REQUIRE(measure_extent(party, pair, {}, device.attempt(), {}));
    CHECK(find_known(party, Need::max_picture)->state == ProbeState::unprobeable);
}

TEST_CASE("a deadline that has passed leaves all untried, and says so") {
    Device device{.stride = 256};
    MeasureOptions late;
    late.deadline = Deadline::none();
    Requirements party{.party = "slow"};
    REQUIRE(measure_layout(party, pair, device.attempt(), late));
    CHECK(device.tries == 0);
    CHECK(party.stride_align == 1);
    CHECK(find_known(party, Need::stride)->state == ProbeState::unprobeable);
    CHECK_THAT(find_known(party, Need::stride)->from, ContainsSubstring("no time"));
}

TEST_CASE("time that ends in mid-search leaves the best value so far, and no claim that less was refused") {
    Device device;
    MeasureOptions options;
    const Attempt slow = [&](const Layout& layout) {
        if (device.tries == 2) options.deadline = Deadline::none(); // it has passed after the third
        return device.attempt()(layout);
    };
    Requirements party{.party = "slow"};
    REQUIRE(measure_layout(party, pair, slow, options));
    CHECK(device.tries == 3);
    CHECK(party.stride_align == 64);
    const auto* known = find_known(party, Need::stride);
    REQUIRE(known);
    CHECK(known->state == ProbeState::unprobeable);
    CHECK_THAT(known->from, ContainsSubstring("a stride of 64 right, no time for weaker ones"));
}

TEST_CASE("where no stride is taken, offsets and rows are still tried with strides of whole pixels") {
    Requirements party{.party = "stubborn"};
    party.stride_align = GENERATE(1U, 128U);
    int tries = 0;
    const Attempt refuse = [&](const Layout& layout) -> Result<std::string> {
        ++tries;
        CHECK(layout.plane(0).stride % 256 == 0);
        return std::string("EPERM");
    };
    REQUIRE(measure_layout(party, pair, refuse, {}));
    CHECK(tries > 5 + 5); // strides, offsets, and rows
}

TEST_CASE("an Error of the attempt ends the measuring, a format in tiles or planes is none to measure by") {
    Requirements party{.party = "gone"};
    const Attempt gone = [](const Layout&) -> Result<std::string> {
        return make_error(Code::disconnected, "asking", "it went away");
    };
    const auto measured = measure_layout(party, pair, gone, {});
    REQUIRE_FALSE(measured);
    CHECK(measured.error().code == Code::disconnected);
    CHECK_FALSE(measure_layout(party, {format::nv12, modifier::linear}, gone, {}));
    CHECK_FALSE(measure_layout(party, {format::xrgb8888, 77}, gone, {}));
}
