// SPDX-License-Identifier: MIT
// A frame's life in a window: damage, completion, ages, repaint, what is held and what a steady frame costs.
#include <signal.h>
#include <sys/resource.h>

#include <limits>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "stream.hpp"

using namespace testing;
using share::Code;
using share::Deadline;
using share::Rect;
using share::x11::Path;
using namespace std::chrono_literals;

namespace {

constexpr auto format = share::format::xrgb8888;

/// `base` with the pixels of `top` inside the rectangles.
std::vector<std::uint8_t> overlay(std::vector<std::uint8_t> base, const std::vector<std::uint8_t>& top,
                                  std::span<const Rect> rects) {
    for (const auto& r : rects)
        for (std::int32_t y = std::max(r.y, 0);
             y < std::min<std::int64_t>(std::int64_t{r.y} + r.height, stream_height); ++y)
            for (std::int32_t x = std::max(r.x, 0);
                 x < std::min<std::int64_t>(std::int64_t{r.x} + r.width, stream_width); ++x) {
                const auto at =
                    (static_cast<std::size_t>(y) * stream_width + static_cast<std::size_t>(x)) * 4;
                std::copy_n(top.begin() + static_cast<std::ptrdiff_t>(at), 4,
                            base.begin() + static_cast<std::ptrdiff_t>(at));
            }
    return base;
}

std::vector<std::uint8_t> pattern(std::uint32_t seed) {
    return expected(format, stream_width, stream_height, seed);
}

} // namespace

TEST_CASE("only the pixels of the damage change, and only they are counted") {
    auto server = XServer::start({});
    constexpr auto huge = std::numeric_limits<std::int32_t>::max();
    const std::vector<Rect> damage = {{3, 5, 7, 11},   {100, 100, 1, 1},        {290, 190, 400, 400},
                                      {-5, 40, 8, 2},  {0, 202, huge, huge},    {50, 50, 0, 10},
                                      {60, 60, -3, 4}, {huge, huge, huge, huge}};
    for (const Path path : {Path::fd, Path::sysv, Path::socket}) {
        INFO(share::x11::to_string(path));
        share::x11::SwapchainOptions options;
        options.path = path;
        Stream stream(server->display(), options);
        REQUIRE(stream.frame(1));
        REQUIRE(stream.frame(2, damage));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        CHECK(shown(server->display(), stream.window->id(), format) ==
              overlay(pattern(1), pattern(2), damage));
        const auto& steps = stream.ledger.frames().back().steps;
        const std::uint64_t bytes = 4 * (7 * 11 + 1 + 11 * 13 + 3 * 2 + std::uint64_t{stream_width});
        CHECK(steps.back().by == share::By::server);
        CHECK(steps.back().bytes_copied == (path == Path::socket ? 2 * bytes : bytes));
    }
}

TEST_CASE("what lies outside the window is neither put nor counted") {
    auto server = XServer::start({});
    for (const Path path : {Path::fd, Path::sysv, Path::socket}) {
        INFO(share::x11::to_string(path));
        share::x11::SwapchainOptions options;
        options.path = path;
        Stream stream(server->display(), options);
        const auto resize = [&](std::uint32_t width, std::uint32_t height) {
            const std::uint32_t values[] = {width, height};
            xcb_configure_window(stream.connection->xcb(), stream.window->id(),
                                 XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT, values);
            REQUIRE(stream.connection->roundtrip(soon()));
            REQUIRE(stream.connection->dispatch(soon()));
            REQUIRE(stream.window->width() == width);
            stream.swapchain->set_window_size(stream.window->width(), stream.window->height());
        };
        const auto counted = [&] { return stream.ledger.frames().back().steps.back().bytes_copied; };
        const std::uint64_t copies = path == Path::socket ? 2 : 1;
        resize(120, 50);
        stream.swapchain->set_position(-20, -10);
        REQUIRE(stream.frame(1));
        CHECK(counted() == copies * 4 * 120 * 50);
        const Rect half_out{130, 20, 50, 10}; // 10 of its columns are inside
        REQUIRE(stream.frame(1, {&half_out, 1}));
        CHECK(counted() == copies * 4 * 10 * 10);
        const Rect all_out{200, 100, 20, 20};
        REQUIRE(stream.frame(1, {&all_out, 1}));
        CHECK(counted() == 0);

        resize(stream_width, stream_height);
        stream.swapchain->set_position(0, 0);
        REQUIRE(stream.swapchain->repaint({0, 0, stream_width, stream_height}));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        CHECK(shown(server->display(), stream.window->id(), format) == pattern(1));
    }
}

TEST_CASE("a thousand rectangles are put one by one") {
    auto server = XServer::start({});
    Stream stream(server->display());
    std::vector<Rect> damage;
    for (std::int32_t i = 0; i < 1000; ++i)
        damage.push_back({i * 7 % 300, i * 13 % 200, 1 + i % 2, 1 + i % 3});
    REQUIRE(stream.frame(1));
    REQUIRE(stream.frame(2, damage));
    REQUIRE(stream.swapchain->wait_shown(soon()));
    CHECK(shown(server->display(), stream.window->id(), format) == overlay(pattern(1), pattern(2), damage));
    CHECK(stream.swapchain->in_flight() == 0);
}

TEST_CASE("damage outside the picture presents nothing and gives the buffer back at once") {
    auto server = XServer::start({});
    Stream stream(server->display());
    REQUIRE(stream.frame(1));
    const Rect outside{5000, 5000, 10, 10};
    REQUIRE(stream.frame(2, {&outside, 1}));
    REQUIRE(stream.swapchain->wait_shown(soon()));
    CHECK(shown(server->display(), stream.window->id(), format) == pattern(1));
}

TEST_CASE("a buffer is not lent again before the server has finished with it") {
    auto server = XServer::start({});
    for (const Path path : {Path::fd, Path::sysv}) {
        share::x11::SwapchainOptions options;
        options.path = path;
        options.slots = 2;
        options.keep_front = false;
        Stream stream(server->display(), options);
        server->signal(SIGSTOP);
        REQUIRE(stream.frame(1));
        REQUIRE(stream.frame(2));
        CHECK(stream.swapchain->in_flight() == 2);
        auto image = stream.swapchain->acquire(Deadline::in(100ms));
        REQUIRE_FALSE(image);
        CHECK(image.error().code == Code::timed_out);
        server->signal(SIGCONT);
        image = stream.swapchain->acquire(soon());
        REQUIRE(image);
        CHECK(stream.swapchain->in_flight() < 2);
        stream.swapchain->discard(std::move(*image));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        CHECK(shown(server->display(), stream.window->id(), format) == pattern(2));
    }
}

TEST_CASE("a presented buffer cannot be mapped for writing while the server may read it") {
    auto server = XServer::start({});
    Stream stream(server->display());
    auto image = stream.swapchain->acquire(soon());
    REQUIRE(image);
    const auto buffer = image->buffer;
    REQUIRE(stream.swapchain->present(std::move(*image), {}, {}));
    auto mapping = buffer->map(share::Access::write, Deadline::none());
    REQUIRE_FALSE(mapping);
    CHECK(mapping.error().code == Code::busy);
}

TEST_CASE("presenting while a write mapping exists is refused and the image is given back") {
    auto server = XServer::start({});
    Stream stream(server->display());
    for (int i = 0; i < 5; ++i) {
        auto image = stream.swapchain->acquire(soon());
        REQUIRE(image);
        auto mapping = image->buffer->map(share::Access::write, soon());
        REQUIRE(mapping);
        auto presented = stream.swapchain->present(std::move(*image), {}, {});
        REQUIRE_FALSE(presented);
        CHECK(presented.error().code == Code::busy);
    }
    CHECK(stream.ledger.totals().frames == 0);
}

TEST_CASE("an image's age counts the presents since its content was shown") {
    auto server = XServer::start({});
    share::x11::SwapchainOptions options;
    options.slots = 2;
    Stream stream(server->display(), options);
    auto image = stream.swapchain->acquire(soon());
    REQUIRE(image);
    CHECK(image->age == 0);
    const auto first = image->slot;
    REQUIRE(stream.swapchain->present(std::move(*image), {}, {}));
    REQUIRE(stream.frame(2));
    image = stream.swapchain->acquire(soon());
    REQUIRE(image);
    CHECK(image->slot == first);
    CHECK(image->age == 2);
    stream.swapchain->discard(std::move(*image));
    image = stream.swapchain->acquire(soon());
    REQUIRE(image);
    CHECK(image->age == 0);
    stream.swapchain->discard(std::move(*image));
}

TEST_CASE("an exposed part is repainted from the kept buffer") {
    auto server = XServer::start({});
    for (const Path path : {Path::fd, Path::socket}) {
        share::x11::SwapchainOptions options;
        options.path = path;
        Stream stream(server->display(), options);
        REQUIRE(stream.frame(1));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        xcb_clear_area(stream.connection->xcb(), 1, stream.window->id(), 20, 30, 50, 60);
        REQUIRE(stream.connection->roundtrip(soon()));
        REQUIRE(stream.connection->dispatch(soon()));
        const auto exposed = stream.window->take_exposed();
        REQUIRE_FALSE(exposed.empty());
        CHECK(shown(server->display(), stream.window->id(), format) != pattern(1));
        for (const auto& area : exposed)
            REQUIRE(stream.swapchain->repaint(area));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        CHECK(shown(server->display(), stream.window->id(), format) == pattern(1));
        CHECK(stream.ledger.totals().frames == 1);
    }
}

TEST_CASE("a picture may lie anywhere, also partly outside the window") {
    auto server = XServer::start({});
    for (const Path path : {Path::fd, Path::socket}) {
        share::x11::SwapchainOptions options;
        options.path = path;
        Stream stream(server->display(), options);
        stream.swapchain->set_position(-10, 20);
        REQUIRE(stream.frame(3));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        const auto source = pattern(3);
        std::vector<std::uint8_t> wanted(source.size(), 0);
        for (std::size_t y = 20; y < stream_height; ++y)
            std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(((y - 20) * stream_width + 10) * 4),
                        (stream_width - 10) * 4,
                        wanted.begin() + static_cast<std::ptrdiff_t>(y * stream_width * 4));
        CHECK(shown(server->display(), stream.window->id(), format) == wanted);
    }
}

TEST_CASE("a hidden window takes frames as a visible one does") {
    auto server = XServer::start({});
    Stream stream(server->display());
    xcb_unmap_window(stream.connection->xcb(), stream.window->id());
    for (std::uint32_t i = 0; i < 10; ++i) {
        REQUIRE(stream.frame(i));
        REQUIRE(stream.swapchain->wait_paced(soon()));
    }
    REQUIRE(stream.swapchain->wait_shown(soon()));
}

TEST_CASE("a window destroyed under the stream gives an error, and nothing is held") {
    auto server = XServer::start({});
    for (const Path path : {Path::fd, Path::socket}) {
        share::x11::SwapchainOptions options;
        options.path = path;
        Stream stream(server->display(), options);
        REQUIRE(stream.frame(1));
        REQUIRE(stream.swapchain->wait_shown(soon()));
        xcb_destroy_window(stream.connection->xcb(), stream.window->id());
        REQUIRE(stream.frame(2));
        auto shown_one = stream.swapchain->wait_shown(soon());
        REQUIRE_FALSE(shown_one);
        CHECK(shown_one.error().code == Code::io);
        CHECK_THAT(shown_one.error().text(), Catch::Matchers::ContainsSubstring("BadDrawable"));
        CHECK(stream.swapchain->in_flight() == 0);
        CHECK_FALSE(stream.swapchain->acquire(soon()));
    }
}

TEST_CASE("a steady frame takes no page fault and leaves no fd") {
    auto server = XServer::start({});
    for (const Path path : {Path::fd, Path::sysv}) {
        share::x11::SwapchainOptions options;
        options.path = path;
        Stream stream(server->display(), options);
        const auto faults = [] {
            rusage usage{};
            getrusage(RUSAGE_SELF, &usage);
            return usage.ru_minflt;
        };
        const auto run = [&](std::uint32_t frames) {
            for (std::uint32_t i = 0; i < frames; ++i) {
                if (!stream.frame(i) || !stream.swapchain->wait_paced(soon())) return false;
            }
            return true;
        };
        REQUIRE(run(200)); // all slots touched, the ledger's window of frames full
        const auto fds = count_fds();
        const auto before = faults();
        REQUIRE(run(100));
        const auto taken = faults() - before;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        (void)taken; // a sanitizer's own quarantine and shadow fault pages
#else
        // The allocator may grow by a page now and then; a frame of 60 pages that faulted would show.
        CHECK(taken < 10);
#endif
        CHECK(count_fds() == fds);
    }
}

TEST_CASE("a whole stream leaves no fd and no segment behind") {
    auto server = XServer::start({});
    {
        Stream warm(server->display());
    }
    const auto fds = count_fds();
    const auto segments = count_sysv_segments();
    for (const Path path : {Path::fd, Path::sysv, Path::socket}) {
        share::x11::SwapchainOptions options;
        options.path = path;
        Stream stream(server->display(), options);
        REQUIRE(stream.frame(1));
        REQUIRE(stream.swapchain->wait_shown(soon()));
    }
    CHECK(count_fds() == fds);
    CHECK(eventually([&] { return count_sysv_segments() == segments; }));
}

TEST_CASE("options that make no sense are refused") {
    auto server = XServer::start({});
    Stream stream(server->display());
    const auto refused = [&](std::uint32_t width, std::uint32_t height, std::uint32_t slots,
                             std::vector<share::Fourcc> formats) {
        share::x11::SwapchainOptions options;
        options.width = width;
        options.height = height;
        options.slots = slots;
        options.formats = std::move(formats);
        auto chain = share::x11::X11Swapchain::create(stream.connection, stream.window->id(), stream.heaps,
                                                      stream.ledger, options, soon());
        return chain ? std::string("made") : std::string(share::to_string(chain.error().code));
    };
    CHECK(refused(0, 10, 3, {}) == "invalid_argument");
    CHECK(refused(10, 10, 1, {}) == "invalid_argument");
    CHECK(refused(10, 10, 65, {}) == "invalid_argument");
    CHECK(refused(32768, 10, 3, {}) == "limit");
    CHECK(refused(10, 10, 3, {share::format::nv12}) == "unsupported");
    CHECK(refused(10, 10, 3, {share::format::nv12, share::format::argb8888}) == "made");
}
