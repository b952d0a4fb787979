// SPDX-License-Identifier: MIT
// One frame, written once, seen by two parties: what a producer hands over is the memory itself.
#include <share/share.hpp>

#include <cstdio>
#include <cstring>

using namespace share;

static int fail(const Error& error) {
    std::fprintf(stderr, "%s\n", error.text().c_str());
    return 1;
}

int main() {
    // The producer: a pool of two XRGB8888 buffers, all in one sealed memfd.
    auto heaps = HeapTable::probe();
    auto heap = heaps.find("memfd");
    if (!heap) return fail(heap.error());
    auto layout = Layout::linear(640, 480, format::xrgb8888);
    if (!layout) return fail(layout.error());
    auto pool = Pool::create(**heap, *layout, 2, "example frames");
    if (!pool) return fail(pool.error());
    auto slot = pool->try_acquire();
    if (!slot) return fail(slot.error());
    auto frame = slot->buffer();
    auto handle = frame->export_memfd(); // what one sends over a socket, once for the life of the buffer
    if (!handle) return fail(handle.error());

    // The consumer: believes nothing but what the kernel says of the fd.
    auto memory = import_fd(std::move(handle->fd));
    if (!memory) return fail(memory.error());
    auto seen = Buffer::create(*memory, handle->offset, handle->layout);
    if (!seen) return fail(seen.error());

    {
        auto mapping = frame->map(Access::write, Deadline::in(std::chrono::seconds(1)));
        if (!mapping) return fail(mapping.error());
        for (std::uint32_t y = 0; y < layout->height(); ++y)
            std::memset(mapping->row(0, y).data(), static_cast<int>(y & 0xff), mapping->row(0, y).size());
    } // the end of the mapping is the end of the write

    auto reading = (*seen)->map(Access::read, Deadline::in(std::chrono::seconds(1)));
    if (!reading) return fail(reading.error());
    const bool same =
        reading->row(0, 100)[0] == std::byte{100} && reading->row(0, 255)[2559] == std::byte{255};
    std::printf("the consumer sees the producer's rows: %s, without a copy\n", same ? "yes" : "no");
    return same ? 0 : 1;
}
