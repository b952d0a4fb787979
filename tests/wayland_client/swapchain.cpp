// SPDX-License-Identifier: MIT
// The life of a frame between us and compositors that do, or do not, what they should.
#include <sys/resource.h>

#include <set>

#include <catch2/generators/catch_generators.hpp>

#include "client.hpp"
#include "process.hpp"

using namespace testing;
using share::Code;
using share::Mechanism;

namespace {

long minor_faults() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

} // namespace

TEST_CASE("a steady frame sends no fd, faults no page and turns around few slots") {
    auto rules = with_dmabuf(3);
    if (GENERATE(true, false)) rules.dmabuf_version = 0; // wl_shm
    rules.presentation = true;
    FakeCompositor server(std::move(rules));
    Client client(server);
    wl::SwapchainOptions options;
    options.width = 640, options.height = 480;
    REQUIRE(client.make_chain(options).ok());
    std::set<std::uint32_t> slots;
    const auto go = [&](int frames) {
        for (int i = 0; i < frames; ++i) {
            if (!client.frame().ok() || !client.chain->wait_shown(soon()).ok()) return false;
            if (!client.chain->wait_paced(soon()).ok()) return false;
            slots.insert(client.last_slot);
        }
        return true;
    };
    REQUIRE(go(100)); // the ledger keeps 64 frames: from then on it reuses memory too
    const auto fds_sent = server.fds_received.load();
    const auto made = server.buffers_made.load();
    const auto open_fds = count_fds();
    const auto faults = minor_faults();
    REQUIRE(go(100));
    const auto faulted = minor_faults() - faults;
    CHECK(server.fds_received == fds_sent);
    CHECK(server.buffers_made == made);
    CHECK(server.buffers_destroyed == 0);
    CHECK(count_fds() == open_fds);
    CHECK(slots.size() <= 3);
#if !defined(__SANITIZE_ADDRESS__) // its quarantine never reuses memory
    CHECK(faulted == 0);
#else
    static_cast<void>(faulted);
#endif
    CHECK(client.ledger.totals().frames == 200);
    CHECK(client.ledger.totals().copied_by_us == 0);
    CHECK(client.ledger.totals().unknown_steps == 200);
}

TEST_CASE("a compositor that withholds releases gets more slots up to the cap, then acquire waits in vain") {
    auto rules = with_dmabuf(3);
    rules.release = false;
    FakeCompositor server(std::move(rules));
    Client client(server);
    wl::SwapchainOptions options;
    options.grow_after = 5ms;
    REQUIRE(client.make_chain(options).ok());
    for (std::size_t i = 1; i <= options.max_slots; ++i) {
        REQUIRE(client.frame().ok());
        CHECK(client.chain->slots_in_use() == i);
    }
    REQUIRE(client.chain->held_by_compositor() == options.max_slots);
    const auto refused = client.chain->acquire(Deadline::in(50ms));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Code::timed_out);
    SECTION("and goes on when they come") {
        server.release_all();
        CHECK(client.frame().ok());
    }
}

TEST_CASE("a buffer that the compositor may read cannot be mapped for writing until it is released") {
    auto rules = with_dmabuf(3);
    rules.release = false;
    FakeCompositor server(std::move(rules));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    auto image = client.chain->acquire(soon());
    REQUIRE(image.ok());
    const auto buffer = image->buffer;
    SECTION("present refuses while the producer still writes") {
        auto mapping = buffer->map(share::Access::write, soon());
        REQUIRE(mapping.ok());
        CHECK(client.chain->present(*image, {}, {}).error().code == Code::busy);
        CHECK(mapping->end().ok());
        CHECK(client.chain->present(*image, {}, {}).ok());
    }
    SECTION("map refuses while the compositor reads") {
        REQUIRE(client.chain->present(*image, {}, {}).ok());
        CHECK(buffer->map(share::Access::write, Deadline::none()).error().code == Code::busy);
        REQUIRE(client.frame().ok()); // another buffer takes its place on the surface
        REQUIRE(client.display->sync(soon()).ok());
        server.release_all();
        CHECK(
            client.display->wait_until([&] { return client.chain->held_by_compositor() == 1; }, soon()).ok());
        CHECK(buffer->map(share::Access::write, Deadline::none()).ok());
    }
}

TEST_CASE("a hidden window gets no frame callback: waiting ends at the deadline and presenting stays legal") {
    auto rules = with_dmabuf(3);
    rules.frame_callbacks = false;
    FakeCompositor server(std::move(rules));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    for (int i = 0; i < 4; ++i) {
        REQUIRE(client.frame().ok());
        const auto paced = client.chain->wait_paced(Deadline::in(20ms));
        REQUIRE_FALSE(paced.ok());
        CHECK(paced.error().code == Code::timed_out);
        CHECK(client.chain->wait_shown(Deadline::in(20ms)).error().code == Code::timed_out);
    }
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.commits == 4);
}

TEST_CASE("wait_shown hears from wp_presentation") {
    auto rules = with_dmabuf(3);
    rules.presentation = true;
    SECTION("that a frame was shown, and without a copy") {
        rules.zero_copy = true;
        FakeCompositor server(std::move(rules));
        Client client(server);
        REQUIRE(client.make_chain().ok());
        REQUIRE(client.frame().ok());
        REQUIRE(client.chain->wait_shown(soon()).ok());
        const auto& time = client.chain->last_shown();
        REQUIRE(time.has_value());
        CHECK(time->frame == 1);
        CHECK(time->clock_id == 4);
        CHECK(time->seconds == 5);
        CHECK(time->nanoseconds == 6);
        CHECK(time->sequence == 7);
        CHECK(time->zero_copy);
        CHECK(contains(client.note("presentation"), "zero_copy"));
    }
    SECTION("that a frame was discarded") {
        rules.discard_frames = true;
        FakeCompositor server(std::move(rules));
        Client client(server);
        REQUIRE(client.make_chain().ok());
        REQUIRE(client.frame().ok());
        const auto shown = client.chain->wait_shown(soon());
        REQUIRE_FALSE(shown.ok());
        CHECK(shown.error().code == Code::unavailable);
        CHECK_FALSE(client.chain->last_shown().has_value());
    }
}

TEST_CASE("a swapchain may go while the compositor reads: its buffers go when they are released") {
    auto rules = with_dmabuf(3);
    rules.release = false;
    FakeCompositor server(std::move(rules));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    REQUIRE(client.frame().ok());
    REQUIRE(client.frame().ok());
    client.chain.reset();
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.buffers_destroyed == 0);
    wl::SwapchainOptions larger;
    larger.width = 128, larger.height = 128;
    REQUIRE(client.make_chain(larger).ok());
    REQUIRE(client.frame().ok());
    REQUIRE(client.display->sync(soon()).ok());
    server.release_all(); // the two old ones; the new one is on the surface
    CHECK(eventually([&] {
        static_cast<void>(client.display->sync(soon()));
        return server.buffers_destroyed == 2;
    }));
}

TEST_CASE("trim destroys the buffers that the compositor does not use, and they come back when needed") {
    FakeCompositor server(with_dmabuf(3));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    for (int i = 0; i < 6; ++i) {
        REQUIRE(client.frame().ok());
        REQUIRE(client.chain->wait_paced(soon()).ok());
    }
    const auto made = server.buffers_made.load();
    const auto idle = client.chain->slots_in_use() - client.chain->held_by_compositor();
    REQUIRE(idle > 0);
    CHECK(client.chain->trim() == idle);
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.buffers_destroyed == idle);
    REQUIRE(client.frame().ok());
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.buffers_made == made + 1);
}

TEST_CASE("an idle stream lets go of what the compositor released, keeps what it shows, and comes back") {
    FakeCompositor server(with_dmabuf(3));
    Client client(server);
    wl::SwapchainOptions options;
    options.idle_after = 1h;
    REQUIRE(client.make_chain(options).ok());
    for (int i = 0; i < 6; ++i) {
        REQUIRE(client.frame().ok());
        REQUIRE(client.chain->wait_paced(soon()).ok());
    }
    const auto made = server.buffers_made.load();
    const auto released = client.chain->slots_in_use() - client.chain->held_by_compositor();
    REQUIRE(released > 0);
    REQUIRE(client.chain->held_by_compositor() == 1);
    const auto later = Deadline::Clock::now() + 2h;
    const auto next = client.display->next_tick();
    REQUIRE(next);
    CHECK(next->when() < later);
    client.display->tick();
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.buffers_destroyed == 0);
    client.display->tick(later);
    CHECK_FALSE(client.display->next_tick()); // what comes now is told by the compositor
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.buffers_destroyed == released);
    CHECK(client.chain->held_by_compositor() == 1);
    REQUIRE(client.frame().ok());
    CHECK(client.display->next_tick());
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.buffers_made == made + 1);
}

TEST_CASE("an idle stream lets go of a buffer as soon as the compositor releases it late") {
    auto rules = with_dmabuf(3);
    rules.release = false;
    FakeCompositor server(std::move(rules));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    for (int i = 0; i < 3; ++i)
        REQUIRE(client.frame().ok());
    client.display->tick(Deadline::Clock::now() + 2h);
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.buffers_destroyed == 0);
    server.release_all(); // all but what is on the screen
    CHECK(client.display->wait_until([&] { return client.chain->held_by_compositor() == 1; }, soon()).ok());
    CHECK(eventually([&] {
        client.display->tick(Deadline::Clock::now() + 2h);
        return client.display->sync(soon()).ok() && server.buffers_destroyed == 2;
    }));
}

TEST_CASE("a program that only waits in dispatch gets idle streams unpinned on the way") {
    FakeCompositor server(with_dmabuf(3));
    Client client(server);
    wl::SwapchainOptions options;
    options.idle_after = 1ms;
    REQUIRE(client.make_chain(options).ok());
    for (int i = 0; i < 3; ++i) {
        REQUIRE(client.frame().ok());
        REQUIRE(client.chain->wait_paced(soon()).ok());
    }
    const auto waited = client.display->dispatch(Deadline::in(50ms)); // nothing comes
    static_cast<void>(waited);
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(client.chain->trim() == 0);
    CHECK(server.buffers_destroyed >= 1);
    CHECK(client.frame().ok());
}

TEST_CASE("a stream that shall never be idle keeps its buffers") {
    FakeCompositor server(with_dmabuf(3));
    Client client(server);
    wl::SwapchainOptions options;
    options.idle_after = std::chrono::milliseconds::max();
    REQUIRE(client.make_chain(options).ok());
    for (int i = 0; i < 3; ++i)
        REQUIRE(client.frame().ok());
    CHECK_FALSE(client.display->next_tick());
    client.display->tick(Deadline::Clock::now() + 1000h);
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.buffers_destroyed == 0);
}

TEST_CASE("a compositor that refuses later slots is served with those that it took") {
    auto rules = with_dmabuf(3);
    rules.release = false;
    rules.accept = [count = std::make_shared<int>(0)](int, std::uint32_t) { return ++*count <= 2; };
    FakeCompositor server(std::move(rules));
    Client client(server);
    wl::SwapchainOptions options;
    options.heap = "memfd"; // one create for a memfd's dma-buf export would be counted too
    options.grow_after = 5ms;
    REQUIRE(client.make_chain(options).ok());
    REQUIRE(client.frame().ok());
    REQUIRE(client.frame().ok());
    CHECK(client.chain->acquire(Deadline::in(50ms)).error().code == Code::timed_out);
    server.release_all();
    CHECK(client.frame().ok());
    CHECK(client.chain->slots_in_use() == 2);
}

TEST_CASE("damage is told in buffer pixels, to old surfaces as all of it") {
    const auto version = GENERATE(3U, 4U, 6U);
    FakeCompositor server(with_dmabuf(3));
    Client client(server, version);
    REQUIRE(client.make_chain().ok());
    auto image = client.chain->acquire(soon());
    REQUIRE(image.ok());
    const share::Rect damage[] = {{0, 0, 4, 4}, {8, 8, 2, 2}};
    REQUIRE(client.chain->present(*image, damage, {}).ok());
    REQUIRE(client.display->sync(soon()).ok());
    CHECK(server.damage_buffer == (version >= 4 ? 2 : 0));
    CHECK(server.damage_surface == (version >= 4 ? 0 : 1));
}

TEST_CASE("the age of an image counts the presents since its content was shown") {
    FakeCompositor server(with_dmabuf(3));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    auto first = client.chain->acquire(soon());
    REQUIRE(first.ok());
    CHECK(first->age == 0);
    const auto slot = first->slot;
    REQUIRE(client.chain->present(*std::move(first), {}, {}).ok());
    REQUIRE(client.chain->wait_paced(soon()).ok());
    REQUIRE(client.frame().ok());
    REQUIRE(client.chain->wait_paced(soon()).ok());
    auto again = client.chain->acquire(soon());
    REQUIRE(again.ok());
    CHECK(again->slot == slot);
    CHECK(again->age == 2);
    client.chain->discard(*std::move(again));
}

TEST_CASE("an image that was given back cannot be presented") {
    FakeCompositor server(with_dmabuf(3));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    auto image = client.chain->acquire(soon());
    REQUIRE(image.ok());
    client.chain->discard(*image);
    CHECK(client.chain->present(*image, {}, {}).error().code == Code::invalid_argument);
}

TEST_CASE("a Display on a borrowed connection leaves the owner's queue alone") {
    FakeCompositor server{FakeRules{}};
    Client client(server);
    bool done = false;
    static const wl_callback_listener listener = {
        .done = [](void* flag, wl_callback*, std::uint32_t) { *static_cast<bool*>(flag) = true; },
    };
    auto* const callback = wl_display_sync(client.native);
    wl_callback_add_listener(callback, &listener, &done);
    REQUIRE(client.display->sync(soon()).ok());
    CHECK_FALSE(done);
    CHECK(wl_display_dispatch_pending(client.native) == 1);
    CHECK(done);
    wl_callback_destroy(callback);
}

TEST_CASE("a compositor that dies is reported by every call as disconnected") {
    auto server = std::make_unique<FakeCompositor>(with_dmabuf(3));
    Client client(*server);
    REQUIRE(client.make_chain().ok());
    REQUIRE(client.frame().ok());
    server.reset();
    const auto next = client.display->sync(soon());
    REQUIRE_FALSE(next.ok());
    CHECK(next.error().code == Code::disconnected);
    const auto image = client.chain->acquire(soon());
    REQUIRE_FALSE(image.ok());
    CHECK(image.error().code == Code::disconnected);
    CHECK(client.display->error().has_value());
}
