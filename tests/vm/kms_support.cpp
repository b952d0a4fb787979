// SPDX-License-Identifier: MIT
#include "kms_support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <filesystem>

#include <share/kms/dumb_heap.hpp>

namespace testing {
namespace {

std::uint32_t pixel_of(std::span<const std::byte> row, std::uint32_t x) {
    std::uint32_t pixel = 0;
    std::memcpy(&pixel, row.data() + std::size_t{x} * 4, 4);
    return pixel;
}

} // namespace

std::shared_ptr<share::kms::Device> kms_device(const std::string& driver) {
    auto device = share::kms::Device::find(driver);
    if (!device) SKIP("no " << driver << ": " << device.error().text());
    return *device;
}

share::HeapTable all_heaps() {
    auto table = share::HeapTable::probe();
    share::kms::add_dumb_heaps(table);
    return table;
}

share::Heap& heap_of(const share::HeapTable& table, const std::string& name) {
    std::string full = name;
    if (name == "dumb") full += ":" + std::filesystem::path(kms_device()->node()).filename().string();
    auto heap = table.find(full);
    if (!heap) SKIP("no heap " << full << ": " << heap.error().text());
    return **heap;
}

std::shared_ptr<share::Buffer> make_buffer(share::Heap& heap, const share::Layout& layout) {
    auto memory = heap.allocate(layout.size(), "test picture");
    if (!memory) FAIL(memory.error().text());
    auto buffer = share::Buffer::create(*memory, 0, layout);
    if (!buffer) FAIL(buffer.error().text());
    return *buffer;
}

std::shared_ptr<share::Buffer> make_buffer(share::Heap& heap, std::uint32_t width, std::uint32_t height,
                                           share::Fourcc format) {
    auto layout = share::Layout::linear(width, height, format);
    REQUIRE(layout);
    return make_buffer(heap, *layout);
}

std::uint32_t pattern(std::uint32_t x, std::uint32_t y, std::uint32_t seed) {
    std::uint32_t h = (x * 0x9e37'79b1U) ^ (y * 0x85eb'ca77U) ^ (seed * 0xc2b2'ae3dU);
    h ^= h >> 15U;
    h *= 0x2c1b'3c6dU;
    return (h ^ h >> 12U) & 0xff'ffffU;
}

void draw_pattern(share::Buffer& buffer, std::uint32_t seed) {
    auto mapping = buffer.map(share::Access::write, share::Deadline::in(std::chrono::seconds(5)));
    if (!mapping) FAIL(mapping.error().text());
    for (std::uint32_t y = 0; y < buffer.layout().height(); ++y) {
        auto row = mapping->row(0, y);
        for (std::uint32_t x = 0; x < buffer.layout().width(); ++x) {
            const std::uint32_t pixel = pattern(x, y, seed);
            std::memcpy(row.data() + std::size_t{x} * 4, &pixel, 4);
        }
    }
    REQUIRE(mapping->end());
}

std::size_t differs_from_pattern(share::Buffer& buffer, std::uint32_t seed) {
    auto mapping = buffer.map(share::Access::read, share::Deadline::in(std::chrono::seconds(5)));
    if (!mapping) FAIL(mapping.error().text());
    std::size_t wrong = 0;
    for (std::uint32_t y = 0; y < buffer.layout().height(); ++y) {
        const auto row = mapping->row(0, y);
        for (std::uint32_t x = 0; x < buffer.layout().width(); ++x)
            wrong += (pixel_of(row, x) & 0xff'ffffU) != pattern(x, y, seed) ? 1U : 0U;
    }
    return wrong;
}

} // namespace testing
