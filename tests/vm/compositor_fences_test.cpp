// SPDX-License-Identifier: MIT
// Commits whose dma-buf (/dev/udmabuf) somebody still writes, by a sw_sync fence: the compositor waits for
// the fence and not for ever, and nothing else waits with it.
#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>

#include <share/buffer.hpp>
#include <share/heap.hpp>

#include "process.hpp"
#include "sw_sync.hpp"
#include "wayland_fixture.hpp"

using namespace share;
using namespace testing;
using namespace std::chrono_literals;

namespace {

const HeapTable heaps = HeapTable::probe(); // its devices stay open

/// A dma-buf of the client's and its wl_buffer, with a count of releases.
struct ClientDmabuf {
    ClientDmabuf(TestClient& client, int width, int height) {
        auto heap = heaps.find("udmabuf");
        if (!heap) FAIL(heap.error().text());
        const auto layout = Layout::linear(static_cast<std::uint32_t>(width),
                                           static_cast<std::uint32_t>(height), format::xrgb8888)
                                .value();
        buffer = Buffer::create((*heap)->allocate(layout.size(), "client").value(), 0, layout).value();
        handle.emplace(buffer->export_dmabuf().value());
        auto* params = zwp_linux_dmabuf_v1_create_params(client.dmabuf);
        zwp_linux_buffer_params_v1_add(params, handle->fd(), 0, 0, handle->layout.plane(0).stride, 0, 0);
        wl = zwp_linux_buffer_params_v1_create_immed(params, width, height, format::xrgb8888, 0);
        zwp_linux_buffer_params_v1_destroy(params);
        static const wl_buffer_listener listener{
            [](void* data, wl_buffer*) { ++static_cast<ClientDmabuf*>(data)->releases; }};
        wl_buffer_add_listener(wl, &listener, this);
        client.sync();
    }
    std::shared_ptr<Buffer> buffer;
    std::optional<DmabufHandle> handle;
    wl_buffer* wl = nullptr;
    int releases = 0;
};

void commit(TestClient& client, wl_surface* surface, wl_buffer* buffer) {
    wl_surface_attach(surface, buffer, 0, 0);
    wl_surface_damage_buffer(surface, 0, 0, INT32_MAX, INT32_MAX);
    wl_surface_commit(surface);
    client.sync();
}

using Sizes = std::vector<std::string>;

/// "WxH" of each buffer in the last frame.
Sizes contents(TestCompositor& compositor) {
    Sizes sizes;
    for (const std::string& item : compositor.picture().items)
        if (item.ends_with(" content"))
            sizes.push_back(item.substr(item.find(' ') + 1, item.rfind(' ') - item.find(' ') - 1));
    std::sort(sizes.begin(), sizes.end());
    return sizes;
}

/// Serves until a frame shows these; false after some seconds.
bool comes(TestCompositor& compositor, TestClient& client, const Sizes& sizes) {
    return eventually([&] {
        client.sync();
        compositor.show();
        return contents(compositor) == sizes;
    });
}

std::size_t notes_about_fences(TestCompositor& compositor) {
    std::size_t count = 0;
    for (const auto& note : compositor.ledger().notes())
        count += note.about == "fence" ? 1 : 0;
    return count;
}

} // namespace

TEST_CASE(
    "a committed buffer that is still written is shown when its fence signals, the old one until then") {
    TestCompositor compositor(400, 300, true);
    compositor.set_fence_patience(60s);
    TestClient client(compositor);
    TestToplevel window(client);
    ClientDmabuf first(client, 64, 48), second(client, 32, 24);
    window.map(first.wl);
    compositor.show();
    CHECK(contents(compositor) == Sizes{"64x48"});

    const SwSync timeline;
    REQUIRE(second.buffer->add_fence(timeline.fence(), Access::write));
    commit(client, window.surface, second.wl);
    CHECK_FALSE(compositor.show());
    CHECK(first.releases == 0);
    CHECK(client.alive());

    timeline.signal();
    CHECK(comes(compositor, client, {"32x24"}));
    compositor.show();
    client.sync();
    CHECK(first.releases == 1);
    CHECK(second.releases == 0);
    CHECK(notes_about_fences(compositor) == 0);
}

TEST_CASE("a reader's fence holds nothing back") {
    TestCompositor compositor(400, 300, true);
    TestClient client(compositor);
    TestToplevel window(client);
    ClientDmabuf buffer(client, 64, 48);
    const SwSync timeline;
    REQUIRE(buffer.buffer->add_fence(timeline.fence(), Access::read));
    window.map(buffer.wl);
    compositor.show();
    CHECK(contents(compositor) == Sizes{"64x48"});
}

TEST_CASE("a fence that never signals costs its buffer: the old picture stays, the client and others go on") {
    TestCompositor compositor(400, 300, true);
    compositor.set_fence_patience(50ms);
    TestClient client(compositor), other(compositor);
    TestToplevel window(client);
    ClientDmabuf first(client, 64, 48), never(client, 32, 24), third(client, 16, 12);
    window.map(first.wl);
    compositor.show();
    CHECK(contents(compositor) == Sizes{"64x48"});

    const SwSync timeline;
    REQUIRE(never.buffer->add_fence(timeline.fence(), Access::write));
    // What is said of a given-up buffer's geometry waits for the next one.
    wl_surface_set_buffer_scale(window.surface, 2);
    commit(client, window.surface, never.wl);
    // Meanwhile another client is served.
    TestToplevel second_window(other);
    second_window.map(other.shm_buffer(4, 2));
    compositor.show();
    CHECK(contents(compositor) == Sizes{"4x2"}); // nothing else changed

    CHECK(eventually([&] {
        client.sync();
        return never.releases == 1;
    }));
    // What lies below the other window when it goes is the old picture.
    commit(other, second_window.surface, nullptr);
    compositor.show();
    CHECK(contents(compositor) == Sizes{"64x48"});
    CHECK(notes_about_fences(compositor) == 1);
    CHECK(first.releases == 0);
    commit(client, window.surface, third.wl);
    CHECK(comes(compositor, client, {"8x6"})); // 16x12 at the scale of 2
    CHECK(client.alive());
}

TEST_CASE("commits behind a waiting one keep their order, and frame callbacks come with their frame") {
    TestCompositor compositor(400, 300, true);
    compositor.set_fence_patience(60s);
    TestClient client(compositor);
    TestToplevel window(client);
    ClientDmabuf first(client, 64, 48), second(client, 32, 24), third(client, 16, 12);
    window.map(first.wl);
    compositor.show();
    const SwSync timeline;
    REQUIRE(second.buffer->add_fence(timeline.fence(), Access::write));
    bool called = false;
    static const wl_callback_listener listener{[](void* data, wl_callback* callback, std::uint32_t) {
        *static_cast<bool*>(data) = true;
        wl_callback_destroy(callback);
    }};
    wl_callback_add_listener(wl_surface_frame(window.surface), &listener, &called);
    commit(client, window.surface, second.wl);
    commit(client, window.surface, third.wl); // ready, and yet not before the second
    CHECK_FALSE(compositor.show());
    client.sync();
    CHECK_FALSE(called);
    timeline.signal();
    CHECK(comes(compositor, client, {"16x12"}));
    client.sync();
    CHECK(called);
    CHECK(second.releases == 1);
}

TEST_CASE("a hundred commits with fences cost bounded memory, and the last one is shown") {
    TestCompositor compositor(400, 300, true);
    compositor.set_fence_patience(60s);
    TestClient client(compositor);
    TestToplevel window(client);
    window.map(client.shm_buffer(64, 48));
    const SwSync timeline;
    std::vector<std::unique_ptr<ClientDmabuf>> buffers;
    for (int i = 0; i < 100; ++i) {
        buffers.push_back(std::make_unique<ClientDmabuf>(client, 10 + i, 10));
        REQUIRE(buffers.back()->buffer->add_fence(timeline.fence(1), Access::write));
        commit(client, window.surface, buffers.back()->wl);
    }
    int released = 0;
    for (const auto& buffer : buffers)
        released += buffer->releases;
    CHECK(released == 100 - 16);
    timeline.signal();
    CHECK(comes(compositor, client, {"109x10"}));
}

TEST_CASE("a synchronised sub-surface and its parent are shown together, when the child's fence signals") {
    TestCompositor compositor(400, 300, true);
    compositor.set_fence_patience(60s);
    TestClient client(compositor);
    TestToplevel window(client);
    wl_surface* child = client.surface();
    wl_subcompositor_get_subsurface(client.subcompositor, child, window.surface);
    ClientDmabuf first(client, 64, 48), second(client, 32, 24), of_child(client, 16, 12), later(client, 8, 6);
    window.map(first.wl);
    const SwSync timeline;
    REQUIRE(of_child.buffer->add_fence(timeline.fence(), Access::write));
    commit(client, child, of_child.wl);
    commit(client, window.surface, second.wl);
    compositor.show();
    CHECK(contents(compositor) == Sizes{"64x48"});
    commit(client, child, later.wl); // for the parent's next commit
    timeline.signal();
    CHECK(comes(compositor, client, {"16x12", "32x24"}));
    wl_surface_commit(window.surface);
    CHECK(comes(compositor, client, {"32x24", "8x6"}));
}

TEST_CASE("whatever waits for a fence goes with its surface and its client") {
    TestCompositor compositor(400, 300, true);
    compositor.set_fence_patience(60s);
    const SwSync timeline;
    TestClient stays(compositor);
    const auto once = [&] {
        TestClient client(compositor);
        TestToplevel window(client), another(client);
        ClientDmabuf buffer(client, 64, 48), second(client, 64, 48);
        REQUIRE(buffer.buffer->add_fence(timeline.fence(), Access::write));
        REQUIRE(second.buffer->add_fence(timeline.fence(), Access::write));
        window.map(buffer.wl);
        another.map(second.wl);
        wl_buffer_destroy(buffer.wl); // destroyed while it waits: legal
        xdg_toplevel_destroy(another.toplevel);
        xdg_surface_destroy(another.base);
        wl_surface_destroy(another.surface);
        client.sync();
        CHECK(client.alive());
    };
    once(); // the event loop keeps a timer from the first wait on
    stays.sync();
    const auto fds = count_fds();
    once();
    stays.sync();
    timeline.signal();
    CHECK(stays.alive());
    CHECK(compositor.surfaces() == 0);
    CHECK(count_fds() == fds);
}
