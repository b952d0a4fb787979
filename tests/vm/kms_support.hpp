// SPDX-License-Identifier: MIT
// What tests on the KMS device share: buffers with pictures that are wrong when one pixel is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <share/buffer.hpp>
#include <share/heap.hpp>
#include <share/kms/device.hpp>

namespace testing {

/// The device of that driver; skips the test where there is none.
std::shared_ptr<share::kms::Device> kms_device(const std::string& driver = "vkms");
/// All heaps, dumb ones included.
share::HeapTable all_heaps();
/// The heap, where `name` "dumb" is vkms' own; skips the test where there is none.
share::Heap& heap_of(const share::HeapTable& table, const std::string& name);

std::shared_ptr<share::Buffer> make_buffer(share::Heap& heap, const share::Layout& layout);
std::shared_ptr<share::Buffer> make_buffer(share::Heap& heap, std::uint32_t width, std::uint32_t height,
                                           share::Fourcc format = share::format::xrgb8888);

/// Every pixel another than its neighbours, and another for each `seed`. XRGB8888 only; X is 0.
std::uint32_t pattern(std::uint32_t x, std::uint32_t y, std::uint32_t seed);
void draw_pattern(share::Buffer& buffer, std::uint32_t seed);
/// Pixels of an XRGB8888 buffer, X left out, that are not the pattern's.
std::size_t differs_from_pattern(share::Buffer& buffer, std::uint32_t seed);

/// Fails the test with the error's text.
template<class T>
void must(const share::Result<T>& result) {
    if (!result) FAIL(result.error().text());
}
/// Checks that the error's text has `word`.
inline void says(const share::Error& error, const std::string& word) {
    INFO(error.text());
    CHECK(error.text().find(word) != std::string::npos);
}

} // namespace testing
