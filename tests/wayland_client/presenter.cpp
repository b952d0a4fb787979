// SPDX-License-Identifier: MIT
// The presenter: Buffers that somebody else made, on a compositor that can be good or bad.
#include <catch2/catch_test_macros.hpp>

#include "client.hpp"
#include "process.hpp"

#include <share/wayland_client/presenter.hpp>

using namespace testing;
using share::Access;
using share::Mechanism;

namespace {

using BufferPtr = std::shared_ptr<share::Buffer>;

BufferPtr make_buffer(const share::HeapTable& heaps, share::Fourcc format = share::format::xrgb8888) {
    auto layout = share::Layout::linear(64, 32, format);
    REQUIRE(layout);
    auto heap = heaps.find("memfd");
    REQUIRE(heap);
    auto memory = (*heap)->allocate(layout->size(), "foreign");
    REQUIRE(memory);
    auto buffer = share::Buffer::create(*memory, 0, *layout);
    REQUIRE(buffer);
    return *buffer;
}

struct Stage : Client {
    explicit Stage(FakeCompositor& server) : Client(server) {
        auto made = wl::Presenter::create(*display, surface, ledger, soon());
        if (!made) FAIL(made.error().text());
        presenter = *std::move(made);
    }
    /// Shows it and waits until the compositor has seen that.
    void show(const BufferPtr& buffer) {
        const auto shown = presenter->present(buffer, {}, {}, soon());
        if (!shown) FAIL(shown.error().text());
        REQUIRE(display->sync(soon()));
    }
    std::unique_ptr<wl::Presenter> presenter;
};

} // namespace

TEST_CASE("a foreign buffer of page-cache memory is shown as wl_shm, its fd sent once", "[wayland_client]") {
    const auto before = count_fds();
    {
        FakeCompositor server({});
        Stage stage(server);
        const auto a = make_buffer(stage.heaps), b = make_buffer(stage.heaps);
        stage.show(a);
        stage.show(b);
        CHECK(stage.presenter->path() == Mechanism::wl_shm);
        CHECK(contains(stage.note("memfd"), "not taken"));
        const auto fds = server.fds_received.load();
        const auto made = server.buffers_made.load();
        for (int i = 0; i < 4; ++i)
            stage.show(i % 2 == 0 ? a : b);
        CHECK(server.fds_received == fds);
        CHECK(server.buffers_made == made);
        CHECK(made == 2);
        CHECK(server.commits == 6);
        CHECK(stage.ledger.totals().copied_by_us == 0);
        CHECK(stage.ledger.totals().frames == 6);
        CHECK(stage.ledger.frames().back().steps.front().stage == "share");
    }
    CHECK(count_fds() == before);
}

TEST_CASE("while the compositor reads a foreign buffer nobody gets to write it", "[wayland_client]") {
    FakeRules rules;
    rules.release = false;
    FakeCompositor server(std::move(rules));
    Stage stage(server);
    const auto buffer = make_buffer(stage.heaps);
    stage.show(buffer);
    CHECK(stage.presenter->held_by_compositor() == 1);
    const auto writing = buffer->map(Access::write, Deadline::none());
    REQUIRE_FALSE(writing);
    CHECK(contains(writing.error().text(), "the compositor still holds it"));
    CHECK(buffer->map(Access::read, Deadline::none()).ok());
    stage.show(make_buffer(stage.heaps));
    server.release_all(); // all but what is on the screen
    CHECK(eventually([&] {
        return stage.display->sync(soon()).ok() && buffer->map(Access::write, Deadline::none()).ok();
    }));
}

TEST_CASE("a compositor that takes a memfd as a dma-buf gets it so, asked once for each buffer",
          "[wayland_client]") {
    FakeCompositor server(with_dmabuf(3));
    Stage stage(server);
    const auto buffer = make_buffer(stage.heaps);
    stage.show(buffer);
    CHECK(stage.presenter->path() == Mechanism::memfd);
    CHECK(server.immediate_creates == 0);
    CHECK(contains(stage.note("memfd"), "taken for"));
    CHECK(contains(stage.note("dmabuf"), "the heap memfd makes none")); // the better path, with its reason
}

TEST_CASE("a refused dma-buf costs one question for a kind of buffer, and the next path is taken",
          "[wayland_client]") {
    auto rules = with_dmabuf(3);
    std::atomic<int> asked{0};
    rules.accept = [&](int, std::uint32_t) {
        ++asked;
        return false;
    };
    FakeCompositor server(std::move(rules));
    Stage stage(server);
    for (int i = 0; i < 3; ++i)
        stage.show(make_buffer(stage.heaps));
    CHECK(asked == 1);
    CHECK(stage.presenter->path() == Mechanism::wl_shm);
    CHECK(contains(stage.note("memfd"), "the compositor refused it"));
}

TEST_CASE("a format that the compositor has on no path is refused with each reason", "[wayland_client]") {
    FakeCompositor server(with_dmabuf(3));
    Stage stage(server);
    CHECK(stage.presenter->lists(share::format::xrgb8888));
    CHECK_FALSE(stage.presenter->lists(share::format::rgb565));
    const auto shown =
        stage.presenter->present(make_buffer(stage.heaps, share::format::rgb565), {}, {}, soon());
    REQUIRE_FALSE(shown);
    CHECK(shown.error().code == share::Code::unsupported);
    CHECK(contains(shown.error().text(), "linux-dmabuf does not offer the format"));
    CHECK(contains(shown.error().text(), "wl_shm does not offer the format"));
    CHECK(server.commits == 0);
    CHECK(stage.presenter->known() == 0);
}

TEST_CASE("the wl_buffer of a buffer that nobody has any more goes", "[wayland_client]") {
    FakeCompositor server({});
    Stage stage(server);
    for (int i = 0; i < 10; ++i)
        stage.show(make_buffer(stage.heaps));
    // The one on the screen, and the one whose release is on its way.
    CHECK(stage.presenter->known() <= 3);
    CHECK(server.buffers_made == 10);
    CHECK(eventually([&] { return server.buffers_destroyed >= 7; }));
}

TEST_CASE(
    "an idle presenter lets go of what the compositor does not read, and makes it again when it is shown",
    "[wayland_client]") {
    FakeCompositor server(with_dmabuf(3));
    Stage stage(server);
    stage.presenter->set_idle_after(1h);
    const auto a = make_buffer(stage.heaps), b = make_buffer(stage.heaps);
    stage.show(a);
    stage.show(b);
    REQUIRE(stage.display->wait_until([&] { return stage.presenter->held_by_compositor() == 1; }, soon()));
    stage.display->tick();
    CHECK(stage.presenter->known() == 2);
    stage.display->tick(Deadline::Clock::now() + 2h);
    CHECK(stage.presenter->known() == 1); // what is on the screen
    CHECK_FALSE(b->map(Access::write, Deadline::none()).ok());
    REQUIRE(stage.display->sync(soon()));
    CHECK(server.buffers_destroyed == 1);
    const auto made = server.buffers_made.load();
    stage.show(a);
    CHECK(server.buffers_made == made + 1);
    CHECK(stage.presenter->path() == Mechanism::memfd);
    CHECK(stage.display->next_tick());
}

TEST_CASE("a presenter may go while the compositor reads: the buffer stays held until the release",
          "[wayland_client]") {
    FakeRules rules;
    rules.release = false;
    FakeCompositor server(std::move(rules));
    Stage stage(server);
    const auto buffer = make_buffer(stage.heaps);
    stage.show(buffer);
    stage.presenter.reset();
    CHECK_FALSE(buffer->map(Access::write, Deadline::none()).ok());
    CHECK(server.buffers_destroyed == 0);
    auto next = wl::Presenter::create(*stage.display, stage.surface, stage.ledger, soon());
    REQUIRE(next);
    stage.presenter = *std::move(next);
    stage.show(make_buffer(stage.heaps));
    server.release_all(); // all but what is on the screen
    CHECK(eventually([&] {
        return stage.display->sync(soon()).ok() && buffer->map(Access::write, Deadline::none()).ok();
    }));
}
