// SPDX-License-Identifier: MIT
// The guard: a thread that writes into a frame while a device has it waits, and its write comes afterwards.
#include <share/share.hpp>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

using namespace share;
using namespace std::chrono_literals;

static int fail(const Error& error) {
    std::fprintf(stderr, "%s\n", error.text().c_str());
    return 1;
}

int main() {
    const auto start = std::chrono::steady_clock::now();
    const auto say = [&](const char* text, unsigned pixel) {
        const auto ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
        std::printf("%4d ms  %s (the first pixel is %u)\n", static_cast<int>(ms.count()), text, pixel);
    };

    // A frame, as any producer makes one.
    auto heaps = HeapTable::probe();
    auto heap = heaps.find("memfd");
    if (!heap) return fail(heap.error());
    auto layout = Layout::linear(640, 480, format::xrgb8888);
    if (!layout) return fail(layout.error());
    auto pool = Pool::create(**heap, *layout, 2, "example frames");
    if (!pool) return fail(pool.error());
    const auto frame = pool->buffer(0);

    // Where this process sees it. Somebody kept that pointer, and writes whenever he likes, without a
    // bracket.
    auto memory = pool->memory()->view(Access::read_write);
    if (!memory) return fail(memory.error());
    auto* pixels = reinterpret_cast<volatile std::uint32_t*>(memory->data() + frame->offset());
    // Where the "device" sees it: the same bytes, mapped elsewhere.
    auto handle = frame->export_memfd();
    if (!handle) return fail(handle.error());
    const auto offset = handle->offset;
    auto imported = import_fd(std::move(handle->fd));
    if (!imported) return fail(imported.error());
    auto other_view = (*imported)->view(Access::read);
    if (!other_view) return fail(other_view.error());
    const auto* device_pixels = reinterpret_cast<const volatile std::uint32_t*>(other_view->data() + offset);

    // From here on nobody touches the frame while somebody else has it.
    GuardOptions options;
    options.report_after = 100ms;
    options.report = [](const GuardReport& report) {
        std::printf("         told: %s\n", report.text().c_str());
    };
    auto guard = Guard::create(frame, options);
    if (!guard && guard.error().code == Code::unavailable) {
        std::printf("no guard on this system: %s\n", guard.error().text().c_str());
        return 0;
    }
    if (!guard) return fail(guard.error());

    pixels[0] = 1;
    say("nobody has the frame: a write goes through", device_pixels[0]);

    bool held_back = false;
    std::thread writer;
    {
        auto display = frame->attach(Access::read, "the display", Deadline::in(1s));
        if (!display) return fail(display.error());
        say("the display has the frame; a thread writes 2 into it", device_pixels[0]);
        writer = std::thread([&] { pixels[0] = 2; });
        std::this_thread::sleep_for(250ms); // the display shows it
        held_back = device_pixels[0] == 1;
        say(held_back ? "the thread still waits: the picture is whole" : "the picture is torn",
            device_pixels[0]);
    } // the end of the attachment is the release
    writer.join();
    const bool arrived = device_pixels[0] == 2;
    say(arrived ? "released: the write has come, nothing is lost" : "the write is lost", device_pixels[0]);

    // Who uses brackets never waits for the guard, and is told instead of held.
    auto display = frame->attach(Access::read, "the display", Deadline::in(1s));
    if (!display) return fail(display.error());
    auto mapping = frame->map(Access::write, Deadline::none());
    if (!mapping) std::printf("a bracket says it: %s\n", mapping.error().text().c_str());
    return held_back && arrived && !mapping ? 0 : 1;
}
