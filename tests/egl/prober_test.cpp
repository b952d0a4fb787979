// SPDX-License-Identifier: MIT
#include "egl_support.hpp"

#include <algorithm>

#include <share/egl/prober.hpp>

#include "process.hpp"

using share::ProbeState;

namespace {

const share::egl::ProbeResult* find(const std::vector<share::egl::ProbeResult>& results,
                                    share::Fourcc format) {
    const auto at =
        std::find_if(results.begin(), results.end(), [&](const auto& r) { return r.format == format; });
    return at == results.end() ? nullptr : &*at;
}

} // namespace

TEST_CASE("every advertised pair gets one of three states, and all but good ones a reason") {
    const auto display = testing::open_display();
    const auto heaps = share::HeapTable::probe();
    const auto results = share::egl::probe_formats(display, heaps);
    REQUIRE(results);
    CHECK(results->size() == display->advertised_formats().size());
    for (const auto& result : *results) {
        INFO(share::fourcc_text(result.format) << " " << share::modifier_text(result.modifier) << " "
                                               << to_string(result.state) << ": " << result.reason);
        CHECK(result.reason.empty() == (result.state == ProbeState::good));
    }
}

TEST_CASE("a software driver renders XRGB8888 and ARGB8888 right") {
    const auto display = testing::open_display({{}, true});
    if (!display->is_software()) SKIP("no software driver here");
    const auto results = share::egl::probe_formats(display, share::HeapTable::probe());
    REQUIRE(results);
    for (const auto format : {share::format::xrgb8888, share::format::argb8888}) {
        const auto* result = find(*results, format);
        REQUIRE(result);
        INFO(result->reason);
        CHECK(result->state == ProbeState::good);
    }
}

TEST_CASE("a tiled modifier and a format unknown to Layout are unprobeable, not bad") {
    const auto display = testing::open_display();
    const share::egl::AdvertisedFormat pairs[] = {
        {share::format::xrgb8888, 0x0100'0000'0000'0001ULL, false},
        {share::fourcc('A', 'B', '4', 'H'), share::modifier::linear, false}};
    const auto results = share::egl::probe_formats(display, share::HeapTable::probe(), pairs);
    REQUIRE(results);
    REQUIRE(results->size() == 2);
    CHECK((*results)[0].state == ProbeState::unprobeable);
    CHECK((*results)[1].state == ProbeState::unprobeable);
}

TEST_CASE("a pair that is wrongly said to be sampled by sampler2D is found bad") {
    // NV12 as one image is advertised by llvmpipe and refused by it; on other drivers sampler2D is refused.
    const auto display = testing::open_display();
    if (!display->is_software()) SKIP("hardware drivers may sample NV12 by sampler2D");
    const share::egl::AdvertisedFormat pairs[] = {{share::format::nv12, share::modifier::linear, false}};
    const auto results = share::egl::probe_formats(display, share::HeapTable::probe(), pairs);
    REQUIRE(results);
    if ((*results)[0].state != ProbeState::bad) SKIP("this driver imports NV12: " << display->version());
    CHECK_FALSE((*results)[0].reason.empty());
}

TEST_CASE("without memory that the driver takes everything is unprobeable and says so") {
    const auto display = testing::open_display();
    const auto results = share::egl::probe_formats(display, share::HeapTable());
    REQUIRE(results);
    CHECK(std::all_of(results->begin(), results->end(),
                      [](const auto& r) { return r.state == ProbeState::unprobeable; }));
}

TEST_CASE("probing leaves no fd behind") {
    const auto display = testing::open_display();
    const auto heaps = share::HeapTable::probe();
    (void)share::egl::probe_formats(display, heaps);
    const auto before = testing::count_fds();
    (void)share::egl::probe_formats(display, heaps);
    CHECK(testing::count_fds() == before);
}
