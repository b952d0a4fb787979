// SPDX-License-Identifier: MIT
// Scan-out of shared buffers on vkms, a display without a screen whose writeback connector
// writes down what it shows (patch 0003-vkms-writeback-clones). Run inside the test VM, as root.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <xf86drmMode.h>

#include <cstring>

#include <share/kms/framebuffer.hpp>
#include <share/kms/scan_out.hpp>

#include "kms_support.hpp"
#include "unchanged.hpp"

namespace {

using namespace testing; // NOLINT(google-build-using-namespace)
using share::Access;
using share::Code;
using share::Deadline;
using share::Layout;
using share::kms::Device;
using share::kms::Framebuffer;
using share::kms::ScanOut;

constexpr std::uint32_t width = 640, height = 480;

Deadline soon() {
    return Deadline::in(std::chrono::seconds(10));
}

std::shared_ptr<Framebuffer> framebuffer_of(std::shared_ptr<Device> device,
                                            std::shared_ptr<share::Buffer> buffer) {
    auto framebuffer = Framebuffer::create(std::move(device), std::move(buffer));
    if (!framebuffer) FAIL(framebuffer.error().text());
    return *framebuffer;
}

std::unique_ptr<ScanOut> scan_out_of(std::shared_ptr<Device> device) {
    auto scan_out = ScanOut::create(std::move(device), {0, width, height});
    if (!scan_out) FAIL(scan_out.error().text());
    return std::move(*scan_out);
}

/// A device, a display and a framebuffer for what the display shows.
struct Display {
    std::shared_ptr<Device> device = kms_device();
    share::HeapTable heaps = all_heaps();
    std::unique_ptr<ScanOut> scan_out = scan_out_of(device);
    std::shared_ptr<Framebuffer> seen = picture("dumb", 0);

    std::shared_ptr<Framebuffer> picture(const std::string& heap, std::uint32_t seed) {
        auto buffer = make_buffer(heap_of(heaps, heap), width, height);
        draw_pattern(*buffer, seed);
        return framebuffer_of(device, buffer);
    }
    /// Pixels of the display that are not the pattern's, with `shown` on it.
    std::size_t wrong_pixels(const std::shared_ptr<Framebuffer>& shown, std::uint32_t seed) {
        must(scan_out->capture(shown, seen, soon()));
        return differs_from_pattern(*seen->buffer(), seed);
    }
};

} // namespace

// Scan-out

TEST_CASE("what is scanned out equals the buffer in every pixel", "[vm][kms][scanout]") {
    const Unchanged unchanged;
    const std::string heap = GENERATE("udmabuf", "dma-heap:system", "dumb");
    CAPTURE(heap);
    Display display;
    auto first = display.picture(heap, 1);
    CHECK(first->mechanism() == (heap == "udmabuf" ? share::Mechanism::udmabuf : share::Mechanism::dmabuf));
    CHECK(display.wrong_pixels(first, 1) == 0);
    CHECK(display.scan_out->shown() == first);
    SECTION("and another buffer shows another picture") {
        auto second = display.picture(heap, 2);
        CHECK(display.wrong_pixels(second, 2) == 0);
        CHECK(differs_from_pattern(*display.seen->buffer(), 1) > width * height / 2);
        CHECK(display.wrong_pixels(first, 1) == 0);
    }
    SECTION("and what the CPU writes shows at the next commit, without a new import") {
        auto second = display.picture(heap, 2);
        const auto id = first->id();
        for (std::uint32_t seed = 10; seed < 13; ++seed) {
            must(display.scan_out->show(second, soon()));
            draw_pattern(*first->buffer(), seed);
            CHECK(display.wrong_pixels(first, seed) == 0);
        }
        CHECK(first->id() == id);
        CHECK(display.device->gem_handle_count() == 0);
    }
}

// Plane offset 0: vkms adds fb->offsets[0] twice (vkms_plane.c takes the mapping that has it already).
TEST_CASE(
    "a picture of a part of a stream's memory, with a wide stride and larger than the display, is shown from "
    "its top left",
    "[vm][kms][scanout]") {
    const Unchanged unchanged;
    Display display;
    auto memory = heap_of(display.heaps, "udmabuf").allocate(8U << 20U, "offset");
    must(memory);
    const share::Plane plane{0, 3344};
    auto layout = Layout::describe(width + 100, height + 9, share::format::xrgb8888, share::modifier::linear,
                                   std::span(&plane, 1), 4U << 20U);
    must(layout);
    auto buffer = share::Buffer::create(*memory, 4096 * 3, *layout);
    must(buffer);
    draw_pattern(**buffer, 7);
    CHECK(display.wrong_pixels(framebuffer_of(display.device, *buffer), 7) == 0);
}

TEST_CASE("a buffer on the display is not written, and can be read", "[vm][kms][law]") {
    const Unchanged unchanged;
    Display display;
    auto first = display.picture("udmabuf", 1), second = display.picture("udmabuf", 2);
    must(display.scan_out->show(first, soon()));
    auto write = first->buffer()->map(Access::write, Deadline::none());
    REQUIRE_FALSE(write);
    CHECK(write.error().code == Code::busy);
    says(write.error(), "Virtual-1 of /dev/dri/card");
    must(first->buffer()->map(Access::read, Deadline::none()));
    must(display.scan_out->show(second, soon()));
    must(first->buffer()->map(Access::write, Deadline::none()));

    auto mapping = first->buffer()->map(Access::write, Deadline::none());
    must(mapping);
    auto refused = display.scan_out->commit(first);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::busy);
}

TEST_CASE("a commit before the last one is shown is refused, and a deadline ends every wait",
          "[vm][kms][scanout]") {
    const Unchanged unchanged;
    Display display;
    auto first = display.picture("udmabuf", 1), second = display.picture("udmabuf", 2);
    auto early = display.scan_out->wait_flip(soon());
    REQUIRE_FALSE(early);
    CHECK(early.error().code == Code::invalid_argument);
    must(display.scan_out->show(first, soon()));
    must(display.scan_out->commit(second));
    auto again = display.scan_out->commit(first);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == Code::busy);
    must(display.scan_out->wait_flip(soon()));
    CHECK(display.scan_out->shown() == second);
    const auto flip = display.scan_out->show(first, soon());
    must(flip);
    CHECK(flip->time.count() > 0);

    auto late = display.scan_out->capture(second, display.seen, Deadline::none());
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Code::timed_out);
    auto held = display.seen->buffer()->map(Access::read, Deadline::none());
    REQUIRE_FALSE(held);
    says(held.error(), "the writeback of /dev/dri/card");
    must(display.scan_out->wait_flip(soon()));
    CHECK(display.scan_out->shown() == second);
}

TEST_CASE("a framebuffer lives on while it is shown", "[vm][kms][scanout]") {
    const Unchanged unchanged;
    Display display;
    auto first = display.picture("dma-heap:system", 3);
    must(display.scan_out->show(first, soon()));
    const auto id = first->id();
    first.reset();
    CHECK(display.scan_out->shown()->id() == id);
    CHECK(display.wrong_pixels(display.scan_out->shown(), 3) == 0);
}

TEST_CASE("what the display does not have is refused by name", "[vm][kms][refusal]") {
    const Unchanged unchanged;
    auto device = kms_device();
    auto connector = ScanOut::create(device, {4'000'000, 0, 0});
    REQUIRE_FALSE(connector);
    CHECK(connector.error().code == Code::unavailable);
    says(connector.error(), "no connector 4000000");
    says(connector.error(), "Virtual-1");
    auto mode = ScanOut::create(device, {0, 641, 479});
    REQUIRE_FALSE(mode);
    CHECK(mode.error().code == Code::unavailable);
    says(mode.error(), "no mode of 641x479");
    says(mode.error(), "640x480");
}

TEST_CASE("a picture that the display cannot show is refused before anything changes", "[vm][kms][refusal]") {
    const Unchanged unchanged;
    Display display;
    auto good = display.picture("udmabuf", 1);
    must(display.scan_out->show(good, soon()));
    auto small = framebuffer_of(display.device, make_buffer(heap_of(display.heaps, "udmabuf"), 320, 240));
    auto refused = display.scan_out->capture(good, small, soon());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::invalid_argument);
    says(refused.error(), "showing a 640x480 XR24 buffer on Virtual-1");
    says(refused.error(), "mode 640x480");
    CHECK(display.scan_out->shown() == good);
    must(display.scan_out->test(*good));
    must(small->buffer()->map(Access::write, Deadline::none())); // not held

    auto other = Device::open(display.device->node());
    must(other);
    auto foreign = framebuffer_of(*other, good->buffer());
    refused = display.scan_out->show(foreign, soon());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::invalid_argument);
    says(refused.error(), "make one on this device");
}

TEST_CASE("a picture that is smaller than the display leaves the rest black", "[vm][kms][scanout]") {
    const Unchanged unchanged;
    Display display;
    auto buffer = make_buffer(heap_of(display.heaps, "udmabuf"), 320, 240);
    draw_pattern(*buffer, 9);
    draw_pattern(*display.seen->buffer(), 8);
    auto shown = display.scan_out->capture(framebuffer_of(display.device, buffer), display.seen, soon());
    if (!shown)
        SKIP("vkms of this kernel wants a primary plane that fills the display: " << shown.error().text());
    auto mapping = display.seen->buffer()->map(Access::read, soon());
    must(mapping);
    std::size_t wrong = 0;
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x) {
            std::uint32_t pixel = 0;
            std::memcpy(&pixel, mapping->row(0, y).data() + std::size_t{x} * 4, 4);
            wrong += (pixel & 0xff'ffffU) != (x < 320 && y < 240 ? pattern(x, y, 9) : 0U) ? 1U : 0U;
        }
    CHECK(wrong == 0);
}

TEST_CASE("where what was shown before is gone, the display is switched off at the end",
          "[vm][kms][scanout]") {
    const Unchanged unchanged;
    Display display;
    auto first = display.picture("udmabuf", 1);
    must(display.scan_out->show(first, soon()));
    {
        auto second = scan_out_of(display.device);
        must(second->show(display.picture("udmabuf", 2), soon()));
        REQUIRE(drmModeRmFB(display.device->fd(), first->id()) == 0);
    }
    auto* state = drmModeGetCrtc(display.device->fd(), display.scan_out->crtc());
    REQUIRE(state);
    CHECK(state->mode_valid == 0);
    drmModeFreeCrtc(state);
}

TEST_CASE("without a wish the display's preferred mode is taken", "[vm][kms][scanout]") {
    const Unchanged unchanged;
    auto device = kms_device();
    auto scan_out = ScanOut::create(device);
    must(scan_out);
    CHECK((*scan_out)->mode().preferred);
    CHECK((*scan_out)->connector() == "Virtual-1");
    CHECK_FALSE((*scan_out)->shown());
}

TEST_CASE("what was shown before is shown again at the end", "[vm][kms][scanout]") {
    const Unchanged unchanged;
    const auto on_crtc = [](const Device& device, std::uint32_t crtc) {
        auto* state = drmModeGetCrtc(device.fd(), crtc);
        REQUIRE(state);
        const std::uint32_t id = state->mode_valid ? state->buffer_id : 0;
        drmModeFreeCrtc(state);
        return id;
    };
    auto device = kms_device();
    std::uint32_t crtc = 0;
    {
        Display display;
        device = display.device;
        crtc = display.scan_out->crtc();
        auto first = display.picture("udmabuf", 1);
        must(display.scan_out->show(first, soon()));
        CHECK(on_crtc(*device, crtc) == first->id());
        {
            auto second = scan_out_of(device);
            auto other = display.picture("udmabuf", 2);
            must(second->capture(other, display.seen, soon()));
            CHECK(on_crtc(*device, crtc) == other->id());
        }
        CHECK(on_crtc(*device, crtc) == first->id());
        CHECK(display.wrong_pixels(first, 1) == 0);
    }
    CHECK(on_crtc(*device, crtc) == 0);
}
