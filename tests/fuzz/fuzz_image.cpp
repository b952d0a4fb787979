// SPDX-License-Identifier: MIT
// libFuzzer: any bytes as a picture, decoded into a buffer. How to build and run it: docs/testing.md.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include <share/heap.hpp>
#include <share/media/image.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    share::media::OpenOptions options;
    options.limits.max_pixels = 1U << 18; // small, so that time goes into headers and not into rows
    options.limits.max_private_bytes = 16U << 20;
    auto source = share::media::open_image(std::as_bytes(std::span(data, size)), "fuzz", options);
    if (!source) return 0;
    const share::SourceInfo& info = (*source)->info();
    static share::HeapTable heaps = share::HeapTable::probe();
    auto layout = share::Layout::linear(info.width, info.height, info.formats.front());
    if (!layout) std::abort(); // what it says of itself must be possible
    auto memory = (**heaps.find("memfd")).allocate(layout->size(), "fuzz");
    if (!memory) return 0;
    auto buffer = share::Buffer::create(*memory, 0, *layout);
    if (!buffer) std::abort();
    auto mapping = (*buffer)->map(share::Access::write, share::Deadline::in(std::chrono::seconds(1)));
    if (!mapping) std::abort();
    share::FrameRecord record;
    (void)(*source)->read(*mapping, record);
    return 0;
}
