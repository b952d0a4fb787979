// SPDX-License-Identifier: MIT
// Devices: /dev/udmabuf, /dev/dma_heap/system. Pinned bytes that appear and go: by the account, and by the
// kernel's own list of dma-bufs.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <share/accounting.hpp>
#include <share/heap.hpp>
#include <share/wayland_client/swapchain.hpp>

#include "display_servers.hpp"
#include "process.hpp"
#include "unchanged.hpp"
#include "window.hpp"

using namespace share;
using namespace testing;
using namespace std::chrono_literals;
namespace wl = share::wayland_client;

namespace {

constexpr std::uint32_t width = 256, height = 64;
constexpr std::uint64_t frame_bytes = std::uint64_t{width} * height * 4;

Deadline soon() {
    return Deadline::in(20s);
}
/// Beyond every idle time.
Deadline::Clock::time_point much_later() {
    return Deadline::Clock::now() + 48h;
}

Heap& heap(const HeapTable& table, const char* name) {
    auto found = table.find(name);
    if (!found) FAIL(found.error().text());
    return **found;
}

std::shared_ptr<Buffer> frame_of(Heap& heap) {
    auto layout = Layout::linear(width, height, format::xrgb8888);
    REQUIRE(layout);
    auto memory = heap.allocate(layout->size(), "pins");
    REQUIRE(memory);
    auto buffer = Buffer::create(*memory, 0, *layout);
    REQUIRE(buffer);
    return *buffer;
}

/// What the kernel says is pinned of this memory: the udmabufs that bear its memfd's inode.
std::uint64_t pinned_by_kernel(const Memory& memory) {
    const auto inode = inode_of(memory.fd());
    REQUIRE(inode);
    const auto name = "memfd:" + std::to_string(inode->number) + "+";
    std::uint64_t bytes = 0;
    for (const auto& dmabuf : all_dmabufs())
        if (dmabuf.exporter == "udmabuf" && dmabuf.name.starts_with(name)) bytes += dmabuf.size;
    return bytes;
}

struct Grace {
    explicit Grace(std::chrono::milliseconds grace) { set_pin_grace(grace); }
    ~Grace() { set_pin_grace(100ms); }
    Grace(const Grace&) = delete;
    Grace& operator=(const Grace&) = delete;
};

} // namespace

TEST_CASE("/dev/udmabuf: bytes are pinned from the first attached device to the last, and the grace time",
          "[vm][pins]") {
    const auto table = HeapTable::probe();
    auto& udmabuf = heap(table, "udmabuf");
    const Unchanged unchanged;
    const auto before = memory_usage();
    {
        const auto buffer = frame_of(udmabuf);
        const Memory& memory = *buffer->memory();
        {
            auto written = buffer->map(Access::write, soon());
            REQUIRE(written);
        }
        CHECK(pinned_by_kernel(memory) == 0);
        const Grace grace(1h);
        std::uint64_t inode = 0;
        for (int i = 0; i < 3; ++i) {
            auto first = buffer->attach_device(Access::read, "first", soon());
            auto second = buffer->attach_device(Access::read, "second", soon());
            REQUIRE((first && second));
            CHECK(first->dmabuf()->fd() == second->dmabuf()->fd());
            CHECK(pinned_by_kernel(memory) == frame_bytes);
            CHECK(memory_usage().pinned_bytes == before.pinned_bytes + frame_bytes);
            const auto now = inode_of(first->dmabuf()->fd());
            REQUIRE(now);
            CHECK((i == 0 || now->number == inode)); // the same dma-buf, not a new one for each attachment
            inode = now->number;
        }
        CHECK(pinned_by_kernel(memory) == frame_bytes); // rests
        CHECK(trim_pins() == frame_bytes);
        CHECK(pinned_by_kernel(memory) == 0);
        CHECK_FALSE(buffer->pinned());
        set_pin_grace(1ms);
        REQUIRE(buffer->attach_device(Access::write, "device", soon()));
        CHECK(eventually([&] { return pinned_by_kernel(memory) == 0; }));
        CHECK(memory_usage().pinned_bytes == before.pinned_bytes);
    }
    CHECK(memory_usage() == before);
}

TEST_CASE("/dev/udmabuf: over the limit nothing is pinned; what only rests makes room", "[vm][pins]") {
    const auto table = HeapTable::probe();
    auto& udmabuf = heap(table, "udmabuf");
    const Unchanged unchanged;
    const Grace grace(1h);
    const auto a = frame_of(udmabuf), b = frame_of(udmabuf);
    set_memory_limits({.pinned_bytes = memory_usage().pinned_bytes + frame_bytes});
    {
        auto held = a->attach_device(Access::read, "device", soon());
        REQUIRE(held);
        auto refused = b->attach_device(Access::read, "device", soon());
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::limit);
        CHECK(b->map(Access::write, Deadline::none())); // the refused attachment holds nothing
        CHECK(pinned_by_kernel(*b->memory()) == 0);
    }
    CHECK(b->attach_device(Access::read, "device", soon()));
    CHECK(pinned_by_kernel(*a->memory()) == 0);
    CHECK(pinned_by_kernel(*b->memory()) == frame_bytes);
    set_memory_limits({});
}

TEST_CASE("/dev/dma_heap/system: its memory counts as pinned from the start, and a limit refuses it",
          "[vm][pins]") {
    const auto table = HeapTable::probe();
    auto& system = heap(table, "dma-heap:system");
    const Unchanged unchanged;
    const auto before = memory_usage();
    {
        auto memory = system.allocate(frame_bytes, "pinned");
        REQUIRE(memory);
        CHECK(memory_usage() ==
              MemoryUsage{before.total_bytes + frame_bytes, before.pinned_bytes + frame_bytes});
        set_memory_limits({.pinned_bytes = before.pinned_bytes + frame_bytes});
        auto refused = system.allocate(4096, "more");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::limit);
        CHECK(heap(table, "udmabuf").allocate(4096, "swappable"));
        set_memory_limits({});
    }
    CHECK(memory_usage() == before);
}

TEST_CASE(
    "an idle Wayland stream unpins all but what the compositor reads, and pins again with the next frame",
    "[vm][pins][screen]") {
    const auto table = HeapTable::probe();
    heap(table, "udmabuf");
    const Unchanged unchanged;
    const Grace grace(1ms);
    integration::Compositor compositor({.renderer = "pixman", .width = int{width}, .height = int{height}});
    if (!std::filesystem::exists(compositor.socket()))
        SKIP("share-compositor does not start: " + compositor.process().err());
    {
        Window window(compositor.socket());
        wl::SwapchainOptions options;
        options.width = width, options.height = height;
        options.formats = {format::xrgb8888};
        options.heap = "udmabuf";
        options.idle_after = 24h;
        auto chain = wl::WaylandSwapchain::create(window.display(), window.surface(), table, window.ledger(),
                                                  options, soon());
        if (!chain) FAIL(chain.error().text());
        for (const auto& note : window.ledger().notes())
            UNSCOPED_INFO(note.about << ": " << note.text);
        REQUIRE((*chain)->path() == Mechanism::udmabuf);
        std::shared_ptr<Memory> memory;
        const auto show = [&] {
            auto image = (*chain)->acquire(soon());
            if (!image) FAIL(image.error().text());
            REQUIRE(image->buffer->map(Access::write, soon()));
            memory = image->buffer->memory();
            REQUIRE((*chain)->present(*std::move(image), {}, {}));
            if (const auto shown = (*chain)->wait_shown(soon()); !shown)
                FAIL(Result<void>(shown).error().text());
        };
        for (int i = 0; i < 6; ++i)
            show();
        const auto in_use = (*chain)->slots_in_use();
        REQUIRE(in_use >= 2);
        CHECK(pinned_by_kernel(*memory) == in_use * frame_bytes);
        window.display().tick(); // too early
        CHECK(pinned_by_kernel(*memory) == in_use * frame_bytes);
        window.display().tick(much_later());
        // Only when both sides have closed it do the bytes go.
        CHECK(eventually([&] {
            static_cast<void>(window.display().sync(soon()));
            window.display().tick(much_later());
            return pinned_by_kernel(*memory) == (*chain)->held_by_compositor() * frame_bytes;
        }));
        CHECK((*chain)->held_by_compositor() < in_use);
        for (int i = 0; i < 2; ++i)
            show();
        CHECK(pinned_by_kernel(*memory) >= 2 * frame_bytes);
    }
    REQUIRE(compositor.stop() == 0);
}

TEST_CASE("an idle presenter unpins the buffers of others in the same way", "[vm][pins][screen]") {
    const auto table = HeapTable::probe();
    auto& udmabuf = heap(table, "udmabuf");
    const Unchanged unchanged;
    const Grace grace(1ms);
    integration::Compositor compositor({.renderer = "pixman", .width = int{width}, .height = int{height}});
    if (!std::filesystem::exists(compositor.socket()))
        SKIP("share-compositor does not start: " + compositor.process().err());
    {
        Window window(compositor.socket());
        const auto a = frame_of(udmabuf), b = frame_of(udmabuf);
        window.show(a, {});
        window.show(b, {});
        CHECK(pinned_by_kernel(*a->memory()) == frame_bytes);
        CHECK(pinned_by_kernel(*b->memory()) == frame_bytes);
        CHECK(eventually([&] {
            static_cast<void>(window.display().sync(soon()));
            window.display().tick(much_later());
            return pinned_by_kernel(*a->memory()) == 0;
        }));
        CHECK(memory_usage().pinned_bytes <= frame_bytes);
        window.show(a, {});
        CHECK(pinned_by_kernel(*a->memory()) == frame_bytes);
    }
    REQUIRE(compositor.stop() == 0);
}
