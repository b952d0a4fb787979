// SPDX-License-Identifier: MIT
// What the tests of libshare-egl share: a display or a skip that says what is missing, and memfd buffers.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstring>
#include <memory>

#include <share/egl/display.hpp>
#include <share/share.hpp>

namespace testing {

using namespace std::chrono_literals;

inline std::shared_ptr<share::egl::Display> open_display(const share::egl::DisplayOptions& options = {}) {
    auto display = share::egl::Display::open(options);
    if (!display) SKIP("EGL is missing here: " << display.error().text());
    return std::move(*display);
}

inline std::shared_ptr<share::Buffer> memfd_buffer(std::uint32_t width, std::uint32_t height,
                                                   share::Fourcc format) {
    static share::HeapTable heaps = share::HeapTable::probe();
    auto heap = heaps.find("memfd");
    REQUIRE(heap);
    auto layout = share::Layout::linear(width, height, format);
    REQUIRE(layout);
    auto memory = (*heap)->allocate(layout->size(), "egl test");
    REQUIRE(memory);
    auto buffer = share::Buffer::create(*memory, 0, *layout);
    REQUIRE(buffer);
    return *buffer;
}

inline void fill(share::Buffer& buffer, std::uint32_t pixel) {
    auto mapping = buffer.map(share::Access::write, share::Deadline::in(1s));
    REQUIRE(mapping);
    for (std::uint32_t y = 0; y < buffer.layout().height(); ++y)
        for (std::uint32_t x = 0; x < buffer.layout().width(); ++x)
            std::memcpy(mapping->row(0, y).data() + x * sizeof pixel, &pixel, sizeof pixel);
}

} // namespace testing
