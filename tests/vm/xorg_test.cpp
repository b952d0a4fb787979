// SPDX-License-Identifier: MIT
// Real dma-bufs handed to Xorg (modesetting on vkms), without acceleration and with glamor on llvmpipe. What
// is on the display is judged by scan-out: GetImage tells what the server believes. glamor's import
// of a dma-buf leans on the patch 0002-vkms-map-imported. Run inside the test VM, as root.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <fcntl.h>
#include <xcb/dri3.h>

#include <cstring>

#include <share/x11/swapchain.hpp>
#include <share/x11/window.hpp>

#include "kms_support.hpp"
#include "pagemap.hpp"
#include "unchanged.hpp"
#include "xorg.hpp"

namespace {

using namespace testing; // NOLINT(google-build-using-namespace)
using share::Access;

constexpr std::uint32_t width = 640, height = 480; // the mode that Xorg's configuration asks for

share::Deadline soon() {
    return share::Deadline::in(std::chrono::seconds(10));
}

void require_server_size(const XClient& client) {
    REQUIRE(client.screen->width_in_pixels == width);
    REQUIRE(client.screen->height_in_pixels == height);
}

/// Pixels that are neither the pattern's nor, inside the rectangle, of `colour`.
std::size_t wrong_beside(share::Buffer& buffer, std::uint32_t seed, const xcb_rectangle_t& area,
                         std::uint32_t colour) {
    auto mapping = buffer.map(Access::read, soon());
    must(mapping);
    std::size_t wrong = 0;
    for (std::uint32_t y = 0; y < buffer.layout().height(); ++y)
        for (std::uint32_t x = 0; x < buffer.layout().width(); ++x) {
            std::uint32_t pixel = 0;
            std::memcpy(&pixel, mapping->row(0, y).data() + std::size_t{x} * 4, 4);
            const auto ax = static_cast<std::uint32_t>(area.x), ay = static_cast<std::uint32_t>(area.y);
            const bool inside = x >= ax && x < ax + area.width && y >= ay && y < ay + area.height;
            wrong += (pixel & 0xff'ffffU) != (inside ? colour : pattern(x, y, seed)) ? 1U : 0U;
        }
    return wrong;
}

void fill(XClient& client, xcb_drawable_t drawable, const xcb_rectangle_t& area, std::uint32_t colour) {
    xcb_change_gc(client.xcb, client.gc, XCB_GC_FOREGROUND, &colour);
    xcb_poly_fill_rectangle(client.xcb, drawable, client.gc, 1, &area);
    REQUIRE(client.alive()); // and so it has drawn
}

} // namespace

TEST_CASE("a dma-buf attached by MIT-SHM is a pixmap of the same memory, live both ways", "[vm][xorg]") {
    start_udev();
    const Unchanged unchanged;
    const std::string accel = GENERATE("none", "glamor");
    Xorg server(accel);
    const auto heaps = all_heaps();
    for (const std::string heap : {"udmabuf", "dma-heap:system", "dumb"}) {
        CAPTURE(accel, heap);
        XClient client(server.display());
        auto buffer = make_buffer(heap_of(heaps, heap), width, height);
        draw_pattern(*buffer, 1);
        auto dmabuf = buffer->export_dmabuf(); // the one that the server gets, too
        must(dmabuf);
        auto inode = share::inode_of(dmabuf->fd());
        must(inode);
        const auto pixmap = client.shm_pixmap(*buffer);
        CHECK(client.wrong_pixels(pixmap, width, height, 1) == 0);
        CHECK_FALSE(maps_of_inode(server.process().pid(), inode->number, "dmabuf").empty());

        draw_pattern(*buffer, 2);
        CHECK(client.wrong_pixels(pixmap, width, height, 2) == 0);
        const xcb_rectangle_t area{11, 23, 100, 50};
        fill(client, pixmap, area, 0xff8040);
        CHECK(wrong_beside(*buffer, 2, area, 0xff8040) == 0);
    }
}

TEST_CASE("every frame of a buffer that is copied to a window is on the display", "[vm][xorg]") {
    start_udev();
    const Unchanged unchanged;
    const std::string accel = GENERATE("none", "glamor");
    Xorg server(accel);
    XClient client(server.display());
    require_server_size(client);
    const auto heaps = all_heaps();
    auto buffer = make_buffer(heap_of(heaps, "udmabuf"), width, height);
    const auto window = client.fullscreen_window();
    const auto pixmap = client.shm_pixmap(*buffer);
    const auto segment = client.shm_segment(*buffer);
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(accel, seed);
        draw_pattern(*buffer, seed);
        if (seed % 2 == 0)
            xcb_copy_area(client.xcb, pixmap, window, client.gc, 0, 0, 0, 0, width, height);
        else
            xcb_shm_put_image(client.xcb, window, client.gc, width, height, 0, 0, width, height, 0, 0, 24,
                              XCB_IMAGE_FORMAT_Z_PIXMAP, 0, segment, 0);
        REQUIRE(client.alive());
        CHECK(wrong_on_display(server.device(), seed) == 0);
    }
}

TEST_CASE("every frame of libshare-x11's swapchain is on the display", "[vm][xorg]") {
    start_udev();
    const Unchanged unchanged;
    const std::string accel = GENERATE("none", "glamor");
    CAPTURE(accel);
    Xorg server(accel);
    const auto heaps = all_heaps();
    share::Ledger ledger("test");
    auto connection = share::x11::Connection::open(server.display(), soon());
    must(connection);
    auto window = share::x11::Window::create(*connection,
                                             {.width = width, .height = height, .fullscreen = true}, soon());
    must(window);
    must((*window)->wait_mapped(soon()));
    auto chain = share::x11::X11Swapchain::create(*connection, (*window)->id(), heaps, ledger,
                                                  {.width = width, .height = height}, soon());
    must(chain);
    // More frames than buffers: each buffer is shown again.
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(seed);
        auto image = (*chain)->acquire(soon());
        must(image);
        draw_pattern(*image->buffer, seed);
        must((*chain)->present(std::move(*image), {}, {}));
        must((*chain)->wait_shown(soon()));
        CHECK(wrong_on_display(server.device(), seed) == 0);
    }
    CHECK(ledger.totals().copied_by_us == 0);
    CHECK(ledger.totals().frames == 4);
}

TEST_CASE("without acceleration a presented shm pixmap is copied, and every frame is on the display",
          "[vm][xorg]") {
    start_udev();
    const Unchanged unchanged;
    Xorg server("none");
    XClient client(server.display());
    require_server_size(client);
    CHECK_FALSE(client.has_extension("DRI3"));
    const auto heaps = all_heaps();
    auto buffer = make_buffer(heap_of(heaps, "udmabuf"), width, height);
    const auto pixmap = client.shm_pixmap(*buffer);
    Presenter presenter(client, client.fullscreen_window());
    for (std::uint32_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        draw_pattern(*buffer, seed);
        CHECK(presenter.present(pixmap) == XCB_PRESENT_COMPLETE_MODE_COPY);
        CHECK(wrong_on_display(server.device(), seed) == 0);
    }
}

// The trap that libshare-x11 keeps out of by copying: the server makes such a pixmap its own to flip to it,
// and from then on neither the display nor the CPU's writes follow; the completion says FLIP, GetImage shows
// the right picture.
TEST_CASE("with glamor a presented shm pixmap that is used again freezes the display on its first frame",
          "[vm][xorg][trap]") {
    start_udev();
    const Unchanged unchanged;
    Xorg server("glamor");
    XClient client(server.display());
    require_server_size(client);
    const auto heaps = all_heaps();
    auto buffer = make_buffer(heap_of(heaps, "udmabuf"), width, height);
    const auto pixmap = client.shm_pixmap(*buffer);
    const auto window = client.fullscreen_window();
    Presenter presenter(client, window);
    for (std::uint32_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        draw_pattern(*buffer, seed);
        const auto mode = presenter.present(pixmap);
        REQUIRE(mode);
        const bool right =
            wrong_on_display(server.device(), seed, std::chrono::seconds(seed == 1 ? 5 : 1)) == 0;
        if (seed > 1 && right) SKIP("this Xorg has not the trap: frame " << seed << " is on the display");
        CHECK(right == (seed == 1));
        CHECK(mode == XCB_PRESENT_COMPLETE_MODE_FLIP);
        CHECK(client.wrong_pixels(window, width, height, seed) == 0);
        CHECK(wrong_on_display(server.device(), 1, std::chrono::seconds(0)) == 0);
    }
    // The way out: the flip ends with its window, and what is copied shows.
    xcb_destroy_window(client.xcb, window);
    const auto other = client.fullscreen_window();
    draw_pattern(*buffer, 4);
    xcb_shm_put_image(client.xcb, other, client.gc, width, height, 0, 0, width, height, 0, 0, 24,
                      XCB_IMAGE_FORMAT_Z_PIXMAP, 0, client.shm_segment(*buffer), 0);
    REQUIRE(client.alive());
    CHECK(wrong_on_display(server.device(), 4) == 0);
}

namespace {

struct Dri3Result {
    std::string trouble; ///< empty: every frame was on the display in every pixel
    unsigned flips = 0;
    bool own_memory = true; ///< at each flip the display read the buffer's own dma-buf
};

/// One DRI3 pixmap of the buffer, presented with three pictures in turn.
Dri3Result show_by_dri3(Xorg& server, share::Buffer& buffer) {
    XClient client(server.display());
    if (!client.has_extension("DRI3")) return {"the server has no DRI3"};
    std::free(xcb_dri3_query_version_reply(client.xcb, xcb_dri3_query_version(client.xcb, 1, 2), nullptr));
    std::free(
        xcb_present_query_version_reply(client.xcb, xcb_present_query_version(client.xcb, 1, 0), nullptr));
    auto dmabuf = buffer.export_dmabuf();
    must(dmabuf);
    auto inode = share::inode_of(dmabuf->fd());
    must(inode);
    const auto& layout = buffer.layout();
    const xcb_pixmap_t pixmap = client.id();
    const auto made = client.check(xcb_dri3_pixmap_from_buffer_checked(
        client.xcb, pixmap, client.screen->root, static_cast<std::uint32_t>(layout.size()), width, height,
        static_cast<std::uint16_t>(layout.plane(0).stride), 24, 32, fcntl(dmabuf->fd(), F_DUPFD_CLOEXEC, 3)));
    if (!made.empty()) return {"PixmapFromBuffer: " + made};
    Presenter presenter(client, client.fullscreen_window());
    Dri3Result result;
    for (std::uint32_t seed = 1; seed <= 3 && result.trouble.empty(); ++seed) {
        draw_pattern(buffer, seed);
        const auto mode = presenter.present(pixmap);
        if (!mode)
            result.trouble = "PresentPixmap was not completed";
        else if (client.wrong_pixels(pixmap, width, height, seed) != 0)
            result.trouble = "the pixmap has other pixels";
        else if (wrong_on_display(server.device(), seed) != 0)
            result.trouble = "the display shows other pixels";
        if (!client.alive()) result.trouble = "the server died of frame " + std::to_string(seed);
        if (!result.trouble.empty() || mode != XCB_PRESENT_COMPLETE_MODE_FLIP) continue;
        ++result.flips;
        const auto seen = look_at_display(server.device());
        const auto shown =
            seen ? share::inode_of(seen->dmabuf.get()) : share::make_error(share::Code::io, "", "");
        result.own_memory = result.own_memory && shown && *shown == *inode;
    }
    return result;
}

} // namespace

TEST_CASE(
    "DRI3 and Present show every frame of a udmabuf, where the server survives a throwaway connection's try",
    "[vm][xorg][dri3]") {
    start_udev();
    const Unchanged unchanged;
    Xorg server("glamor");
    const auto heaps = all_heaps();
    auto buffer = make_buffer(heap_of(heaps, "udmabuf"), width, height);
    const auto tried = show_by_dri3(server, *buffer);
    if (!tried.trouble.empty()) {
        WARN("DRI3 of a udmabuf, tried on a throwaway connection: " << tried.trouble
                                                                    << "; not tried on the real one");
        CHECK(server.process().running() == (tried.trouble.find("died") == std::string::npos));
        return;
    }
    const auto real = show_by_dri3(server, *buffer);
    CHECK(real.trouble.empty());
    CHECK(real.flips == tried.flips);
    if (real.flips > 0) CHECK(real.own_memory);
    CHECK(server.process().running());
}
