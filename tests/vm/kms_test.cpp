// SPDX-License-Identifier: MIT
// The KMS device, GEM handles, the dumb heap and refused framebuffers, on vkms and vgem. Run inside the test
// VM, as root.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <xf86drm.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include <share/import.hpp>
#include <share/kms/dumb_heap.hpp>
#include <share/kms/framebuffer.hpp>
#include <share/kms/scan_out.hpp>

#include "kms_support.hpp"
#include "unchanged.hpp"

namespace {

using namespace testing; // NOLINT(google-build-using-namespace)
using share::Access;
using share::Code;
using share::Layout;
using share::kms::Device;
using share::kms::Framebuffer;
using share::kms::ScanOut;

constexpr std::uint32_t width = 640, height = 480;

/// One of `candidates` that no primary plane shows: newer kernels' vkms shows more of them.
share::Fourcc not_shown(const Device& device, std::initializer_list<share::Fourcc> candidates) {
    const auto shown = device.primary_formats();
    for (const auto format : candidates)
        if (std::ranges::none_of(shown, [&](const auto& pair) { return pair.format == format; }))
            return format;
    FAIL("this display shows every format that the test has");
    return 0;
}

} // namespace

// The device

TEST_CASE("vkms tells what it can", "[vm][kms]") {
    const Unchanged unchanged;
    auto device = kms_device();
    const auto& caps = device->capabilities();
    CHECK(device->driver() == "vkms");
    CHECK(device->node().starts_with("/dev/dri/card"));
    CHECK((caps.kms && caps.atomic && caps.writeback && caps.dumb && caps.prime_import && caps.prime_export));
    CHECK(caps.addfb2_modifiers);
    CHECK((caps.min_width > 0 && caps.max_width >= 4096 && caps.max_height >= 4096));
    CHECK((caps.cursor_width >= 64 && caps.cursor_height >= 64));
    const auto formats = device->primary_formats();
    CHECK(std::find(formats.begin(), formats.end(),
                    share::FormatModifier{share::format::xrgb8888, share::modifier::linear}) !=
          formats.end());
    auto connectors = device->connectors();
    must(connectors);
    REQUIRE(connectors->size() == 2);
    for (const auto& connector : *connectors) {
        CAPTURE(connector.name, connector.connected, connector.modes.size());
        CHECK(connector.possible_crtcs != 0);
        CHECK(connector.name == (connector.writeback ? "Writeback-1" : "Virtual-1"));
        CHECK(connector.connected != connector.writeback);
        if (!connector.writeback) CHECK_FALSE(connector.modes.empty());
        CHECK(connector.writeback_formats.empty() != connector.writeback);
    }
}

TEST_CASE("opening the display controller leaves its master to others", "[vm][kms]") {
    auto device = kms_device();
    auto other = Device::open(device->node());
    must(other);
    auto first = ScanOut::create(device);
    must(first);
    auto second = ScanOut::create(*other);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Code::denied);
    says(second.error(), "another program is DRM master");
    first = share::make_error(Code::io, "", ""); // the first display ends
    must(ScanOut::create(*other));
}

TEST_CASE("a device without a display makes no framebuffers and says so", "[vm][kms][vgem]") {
    const Unchanged unchanged;
    auto vgem = kms_device("vgem");
    CHECK_FALSE(vgem->capabilities().kms);
    const auto heaps = all_heaps();
    auto framebuffer = Framebuffer::create(vgem, make_buffer(heap_of(heaps, "udmabuf"), width, height));
    REQUIRE_FALSE(framebuffer);
    CHECK(framebuffer.error().code == Code::unsupported);
    says(framebuffer.error(), "vgem");
    says(framebuffer.error(), "no display");
    CHECK_FALSE(ScanOut::create(vgem));
}

// GEM handles

TEST_CASE("a dma-buf that is imported twice has one handle, closed with its last use", "[vm][kms][gem]") {
    const Unchanged unchanged;
    auto device = kms_device();
    const auto heaps = all_heaps();
    auto dmabuf = make_buffer(heap_of(heaps, "udmabuf"), width, height)->export_dmabuf();
    must(dmabuf);
    auto first = device->import(dmabuf->fd());
    auto second = device->import(dmabuf->fd());
    must(first);
    must(second);
    CHECK(first->get() == second->get());
    CHECK(device->gem_handle_count() == 1);
    *first = {};
    must(device->export_dmabuf(*second)); // still open
    const std::uint32_t number = second->get();
    *second = {};
    CHECK(device->gem_handle_count() == 0);
    int fd = -1;
    CHECK(drmPrimeHandleToFD(device->fd(), number, 0, &fd) != 0);
    CHECK(errno == ENOENT);
}

TEST_CASE("framebuffers of one dma-buf made and destroyed by many threads close no foreign handle",
          "[vm][kms][gem]") {
    const Unchanged unchanged;
    auto device = kms_device();
    const auto heaps = all_heaps();
    auto buffer = make_buffer(heap_of(heaps, "dumb"), width, height);
    std::atomic<int> failed = 0;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < 100; ++i)
                    if (!Framebuffer::create(device, buffer)) ++failed;
            });
    }
    CHECK(failed == 0);
    CHECK(device->gem_handle_count() == 0);
    CHECK_FALSE(buffer->pinned());
}

TEST_CASE("a refused framebuffer leaves no handle", "[vm][kms][gem]") {
    const Unchanged unchanged;
    auto device = kms_device();
    const auto heaps = all_heaps();
    // Two or three planes in one dma-buf.
    const auto format = not_shown(*device, {share::format::p010, share::format::yuv444, share::format::nv16,
                                            share::format::yuv422, share::format::nv21, share::format::nv12});
    auto planes = Framebuffer::create(device, make_buffer(heap_of(heaps, "udmabuf"), 64, 64, format));
    CHECK_FALSE(planes);
    CHECK(device->gem_handle_count() == 0);
}

// The dumb heap

TEST_CASE("the dumb heap lends dma-bufs that every mapping sees alike", "[vm][kms][dumb]") {
    const Unchanged unchanged;
    const std::string card = GENERATE("vkms", "vgem");
    CAPTURE(card);
    auto heap = share::kms::open_dumb_heap(kms_device(card));
    must(heap);
    CHECK((*heap)->name().starts_with("dumb:card"));
    for (const std::uint64_t size : {1ULL, 4096ULL, 4097ULL, 1920ULL * 1080 * 4, 32ULL << 20}) {
        auto memory = (*heap)->allocate(size, "frames");
        must(memory);
        CHECK((*memory)->size() >= size);
        CHECK((*memory)->size() < size + 4096);
        CHECK((*memory)->heap() == (*heap)->name());
        auto facts = share::inspect_fd((*memory)->fd());
        must(facts);
        CHECK(facts->kind == share::MemoryKind::dmabuf);
        CHECK(facts->size == (*memory)->size());

        auto exported = (*memory)->export_dmabuf(0, (*memory)->size());
        must(exported);
        auto peer = share::import_fd(std::move(*exported), {.need_write = true});
        must(peer);
        auto ours = (*memory)->view(Access::read_write), theirs = (*peer)->view(Access::read_write);
        must(ours);
        must(theirs);
        CHECK(ours->data() != theirs->data());
        for (const std::size_t at : {std::size_t{0}, std::size_t{size} / 2, std::size_t{size} - 1}) {
            (*ours)[at] = std::byte{0xa5};
            CHECK((*theirs)[at] == std::byte{0xa5});
            (*theirs)[at] = std::byte{0x3c};
            CHECK((*ours)[at] == std::byte{0x3c});
        }
    }
}

TEST_CASE("memory of the dumb heap is bracketed and written like any other", "[vm][kms][dumb]") {
    const Unchanged unchanged;
    const auto heaps = all_heaps();
    auto buffer = make_buffer(heap_of(heaps, "dumb"), 333, 77);
    draw_pattern(*buffer, 5);
    CHECK(differs_from_pattern(*buffer, 5) == 0);
    CHECK(differs_from_pattern(*buffer, 6) > 333 * 77 / 2);
    auto memfd = buffer->export_memfd();
    REQUIRE_FALSE(memfd);
    CHECK(memfd.error().code == Code::unsupported);
}

TEST_CASE("the dumb heap refuses what no dumb buffer can be, naming the limit", "[vm][kms][dumb]") {
    const Unchanged unchanged;
    const auto heaps = all_heaps();
    auto& heap = heap_of(heaps, "dumb");
    auto nothing = heap.allocate(0, "x");
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error().code == Code::invalid_argument);
    auto huge = heap.allocate(5ULL << 30U, "x");
    REQUIRE_FALSE(huge);
    CHECK(huge.error().code == Code::limit);
    says(huge.error(), "4294963200 bytes");
}

// Framebuffers that are refused

TEST_CASE("a buffer beyond the device's size is refused with its limits", "[vm][kms][refusal]") {
    const Unchanged unchanged;
    auto device = kms_device();
    const auto heaps = all_heaps();
    const auto& caps = device->capabilities();
    for (const auto& [w, h] : {std::pair{caps.max_width + 1, 16U}, std::pair{16U, caps.max_height + 1},
                               std::pair{caps.min_width - 1, 64U}}) {
        if (w == 0) continue;
        auto refused = Framebuffer::create(device, make_buffer(heap_of(heaps, "udmabuf"), w, h));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::limit);
        says(refused.error(), std::to_string(caps.min_width) + "x" + std::to_string(caps.min_height) +
                                  " to " + std::to_string(caps.max_width) + "x" +
                                  std::to_string(caps.max_height));
        says(refused.error(), "vkms");
    }
    CHECK(device->gem_handle_count() == 0);
}

TEST_CASE("a format that the display cannot show is refused with those it can", "[vm][kms][refusal]") {
    const Unchanged unchanged;
    auto device = kms_device();
    const auto heaps = all_heaps();
    const auto format = not_shown(*device, {share::format::r8, share::format::gr88, share::format::yuyv,
                                            share::format::xbgr2101010, share::format::bgr888});
    auto refused = Framebuffer::create(device, make_buffer(heap_of(heaps, "udmabuf"), 640, 480, format));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    says(refused.error(), share::fourcc_text(format));
    says(refused.error(), "XR24 (linear)");
    CHECK(device->gem_handle_count() == 0);
}

TEST_CASE("a modifier that the display does not know is refused", "[vm][kms][refusal]") {
    const Unchanged unchanged;
    auto device = kms_device();
    const auto heaps = all_heaps();
    const share::Plane plane{0, width * 4};
    auto layout = Layout::describe(width, height, share::format::xrgb8888, 0x0100'0000'0000'0001ULL,
                                   std::span(&plane, 1), width * 4 * height);
    must(layout);
    auto refused = Framebuffer::create(device, make_buffer(heap_of(heaps, "udmabuf"), *layout));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    says(refused.error(), "modifier");
}

TEST_CASE("a stride that is shorter than a row never reaches the device", "[vm][kms][refusal]") {
    const share::Plane plane{0, width * 4 - 4};
    auto layout = Layout::describe(width, height, share::format::xrgb8888, share::modifier::linear,
                                   std::span(&plane, 1), width * 4 * height);
    REQUIRE_FALSE(layout);
    CHECK(layout.error().code == Code::invalid_argument);
}

TEST_CASE("memory that is no dma-buf is refused with the heap to use", "[vm][kms][refusal]") {
    const Unchanged unchanged;
    auto device = kms_device();
    const auto heaps = all_heaps();
    auto refused = Framebuffer::create(device, make_buffer(heap_of(heaps, "memfd"), width, height));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    says(refused.error(), "memfd");
    says(refused.error(), "allocate from udmabuf");

    auto memory = heap_of(heaps, "memfd").allocate(4096, "x");
    must(memory);
    auto imported = device->import((*memory)->fd());
    REQUIRE_FALSE(imported);
    says(imported.error(), "vkms");
    CHECK(device->gem_handle_count() == 0);
}
