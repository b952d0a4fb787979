// SPDX-License-Identifier: MIT
// What well-behaved clients are promised: when callbacks come, when buffers are released, what is shown.
#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <algorithm>

#include "wayland_fixture.hpp"

using namespace testing;

namespace {

struct Flag {
    int count = 0;
};
void on_done(void* data, wl_callback* callback, std::uint32_t) {
    ++static_cast<Flag*>(data)->count;
    wl_callback_destroy(callback);
}
const wl_callback_listener done_listener{on_done};
void on_release(void* data, wl_buffer*) {
    ++static_cast<Flag*>(data)->count;
}
const wl_buffer_listener release_listener{on_release};

struct FeedbackLog {
    int presented = 0, discarded = 0, synced = 0;
    std::uint32_t flags = 0, refresh = 0;
};
void on_sync_output(void* data, struct wp_presentation_feedback*, wl_output*) {
    ++static_cast<FeedbackLog*>(data)->synced;
}
void on_presented(void* data, struct wp_presentation_feedback* f, std::uint32_t, std::uint32_t, std::uint32_t,
                  std::uint32_t refresh, std::uint32_t, std::uint32_t, std::uint32_t flags) {
    auto& log = *static_cast<FeedbackLog*>(data);
    ++log.presented;
    log.flags = flags;
    log.refresh = refresh;
    wp_presentation_feedback_destroy(f);
}
void on_discarded(void* data, struct wp_presentation_feedback* f) {
    ++static_cast<FeedbackLog*>(data)->discarded;
    wp_presentation_feedback_destroy(f);
}
const wp_presentation_feedback_listener feedback_listener{on_sync_output, on_presented, on_discarded};

void want_frame(wl_surface* surface, Flag& flag) {
    wl_callback_add_listener(wl_surface_frame(surface), &done_listener, &flag);
}
void want_feedback(TestClient& c, wl_surface* surface, FeedbackLog& log) {
    wp_presentation_feedback_add_listener(wp_presentation_feedback(c.presentation, surface),
                                          &feedback_listener, &log);
}

bool shows(const TestCompositor& compositor, const std::string& item) {
    const auto& items = compositor.picture().items;
    return std::find(items.begin(), items.end(), item) != items.end();
}

} // namespace

TEST_CASE("the registry offers every global at its version") {
    TestCompositor compositor;
    TestClient c(compositor);
    CHECK(c.versions.at("wl_compositor") == 6);
    CHECK(c.versions.at("wl_subcompositor") == 1);
    CHECK(c.versions.at("wl_shm") == 2);
    CHECK(c.versions.at("wl_seat") == 9);
    CHECK(c.versions.at("wl_output") == 4);
    CHECK(c.versions.at("wl_data_device_manager") == 3);
    CHECK(c.versions.at("xdg_wm_base") == 6);
    CHECK(c.versions.at("wp_viewporter") == 1);
    CHECK(c.versions.at("wp_presentation") == 2);
    CHECK(c.versions.at("wp_single_pixel_buffer_manager_v1") == 1);
}

TEST_CASE("a frame callback comes after the frame was shown, and not before") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    Flag done;
    want_frame(t.surface, done);
    t.map(c.pixel(), 40, 40);
    CHECK(done.count == 0);
    REQUIRE(compositor.show());
    c.sync();
    CHECK(done.count == 1);

    SECTION("also when nothing but the callback was committed") {
        want_frame(t.surface, done);
        wl_surface_commit(t.surface);
        c.sync();
        REQUIRE(compositor.show());
        CHECK(compositor.picture().damaged_pixels == 0);
        c.sync();
        CHECK(done.count == 2);
        CHECK_FALSE(compositor.show());
    }
    SECTION("and never for a hidden surface") {
        TestToplevel above(c);
        above.map(c.pixel(), 400, 300);
        compositor.show();
        want_frame(t.surface, done);
        wl_surface_commit(t.surface);
        c.sync();
        compositor.show();
        c.sync();
        CHECK(done.count == 1);
        wl_surface_attach(above.surface, nullptr, 0, 0);
        wl_surface_commit(above.surface);
        c.sync();
        compositor.show();
        c.sync();
        CHECK(done.count == 2);
    }
}

TEST_CASE("a buffer is released when another has replaced it, and not before") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    Flag released;
    wl_buffer* first = c.shm_buffer(40, 40);
    wl_buffer_add_listener(first, &release_listener, &released);
    t.map(first);
    compositor.show();
    c.sync();
    CHECK(released.count == 0);

    SECTION("by another buffer") {
        wl_surface_attach(t.surface, c.shm_buffer(40, 40), 0, 0);
        wl_surface_commit(t.surface);
        c.sync();
        CHECK(released.count == 1);
        compositor.show();
        c.sync();
        CHECK(released.count == 1);
    }
    SECTION("by itself it is not: it is still shown") {
        wl_surface_attach(t.surface, first, 0, 0);
        wl_surface_commit(t.surface);
        compositor.show();
        c.sync();
        CHECK(released.count == 0);
    }
    SECTION("by no buffer") {
        wl_surface_attach(t.surface, nullptr, 0, 0);
        wl_surface_commit(t.surface);
        c.sync();
        CHECK(released.count == 1);
    }
}

TEST_CASE("a buffer that the output shows directly is released when the next frame is shown") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    xdg_toplevel_set_fullscreen(t.toplevel, nullptr);
    c.sync();
    CHECK(t.width == 400);
    CHECK(t.has_state(XDG_TOPLEVEL_STATE_FULLSCREEN));
    Flag released;
    wl_buffer* first = c.shm_buffer(400, 300);
    wl_buffer_add_listener(first, &release_listener, &released);
    FeedbackLog log;
    want_feedback(c, t.surface, log);
    t.map(first);
    REQUIRE(compositor.show(true));
    CHECK(compositor.picture().direct);
    c.sync();
    CHECK(log.presented == 1);
    CHECK(log.synced == 1);
    CHECK(log.flags == WP_PRESENTATION_FEEDBACK_KIND_ZERO_COPY);
    CHECK(log.refresh == 16'666'667);

    wl_surface_attach(t.surface, c.shm_buffer(400, 300), 0, 0);
    wl_surface_damage_buffer(t.surface, 0, 0, 400, 300);
    wl_surface_commit(t.surface);
    c.sync();
    CHECK(released.count == 0);
    compositor.show(true);
    c.sync();
    CHECK(released.count == 1);
}

TEST_CASE("feedback of what was replaced before it was shown is discarded") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    FeedbackLog first, second, last;
    want_feedback(c, t.surface, first);
    t.map(c.pixel(), 10, 10);
    want_feedback(c, t.surface, second);
    wl_surface_commit(t.surface);
    c.sync();
    CHECK(first.discarded == 1);
    compositor.show();
    c.sync();
    CHECK(second.presented == 1);
    CHECK(first.presented == 0);
    want_feedback(c, t.surface, last);
    wl_surface_attach(t.surface, nullptr, 0, 0);
    wl_surface_commit(t.surface);
    c.sync();
    CHECK(last.discarded == 1);
}

TEST_CASE(
    "a new toplevel is told its bounds and what the compositor can do, and that it is active once mapped") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    CHECK(t.configures == 1);
    CHECK(t.width == 0);
    CHECK(t.bounds_width == 400);
    CHECK(t.capabilities == 2);
    CHECK_FALSE(t.has_state(XDG_TOPLEVEL_STATE_ACTIVATED));
    t.map(c.pixel(), 10, 10);
    CHECK(t.has_state(XDG_TOPLEVEL_STATE_ACTIVATED));
    TestToplevel next(c);
    next.map(c.pixel(), 10, 10);
    CHECK_FALSE(t.has_state(XDG_TOPLEVEL_STATE_ACTIVATED));
    xdg_toplevel_destroy(next.toplevel);
    c.sync();
    CHECK(t.has_state(XDG_TOPLEVEL_STATE_ACTIVATED));
}

TEST_CASE("a fullscreen window covers the output from the commit on that follows its ack") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.pixel(), 100, 100);
    compositor.show();
    CHECK(shows(compositor, "150,100 100x100 color"));
    xdg_toplevel_set_fullscreen(t.toplevel, nullptr);
    c.sync();
    CHECK(t.width == 400);
    CHECK(t.height == 300);
    t.map(c.pixel(), 400, 300);
    compositor.show();
    CHECK(shows(compositor, "0,0 400x300 color"));
    xdg_toplevel_unset_fullscreen(t.toplevel);
    c.sync();
    CHECK(t.width == 100);
    CHECK_FALSE(t.has_state(XDG_TOPLEVEL_STATE_FULLSCREEN));
}

TEST_CASE("a synchronised sub-surface changes with its parent, a desynchronised one at once") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.pixel(), 100, 100);
    wl_surface* child = c.surface();
    wl_subsurface* sub = wl_subcompositor_get_subsurface(c.subcompositor, child, t.surface);
    wl_subsurface_set_position(sub, 5, 7);
    wl_surface_attach(child, c.shm_buffer(20, 10), 0, 0);
    wl_surface_commit(child);
    c.sync();
    compositor.show();
    CHECK_FALSE(shows(compositor, "155,107 20x10 content"));
    wl_surface_commit(t.surface);
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "155,107 20x10 content"));

    wl_subsurface_set_desync(sub);
    wl_surface_attach(child, c.shm_buffer(30, 10), 0, 0);
    wl_surface_commit(child);
    wl_subsurface_set_position(sub, 50, 50);
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "155,107 30x10 content"));
    wl_surface_commit(t.surface);
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "200,150 30x10 content"));

    SECTION("below its parent it is drawn first") {
        wl_subsurface_place_below(sub, t.surface);
        wl_surface_attach(t.surface, c.pixel(0), 0, 0);
        wl_surface_damage(t.surface, 0, 0, 100, 100);
        wl_surface_commit(t.surface);
        c.sync();
        compositor.show();
        REQUIRE(compositor.picture().items.size() == 3);
        CHECK(compositor.picture().items[1] == "200,150 30x10 content");
    }
    SECTION("and it is gone with its object") {
        wl_subsurface_destroy(sub);
        c.sync();
        compositor.show();
        CHECK(compositor.picture().damaged_pixels == 300);
    }
}

TEST_CASE("wl_surface.offset moves a floating window and a sub-surface, with the commit that carries it") {
    TestCompositor compositor; // 400x300
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.shm_buffer(100, 100));
    compositor.show();
    CHECK(shows(compositor, "150,100 100x100 content"));

    wl_surface_offset(t.surface, 1000, 1000); // replaced before the commit
    wl_surface_offset(t.surface, -10, 20);
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "150,100 100x100 content"));
    wl_surface_commit(t.surface);
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "140,120 100x100 content"));
    wl_surface_commit(t.surface); // not again
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "140,120 100x100 content"));

    wl_surface* child = c.surface();
    wl_subsurface* sub = wl_subcompositor_get_subsurface(c.subcompositor, child, t.surface);
    wl_subsurface_set_position(sub, 5, 5);
    wl_surface_attach(child, c.shm_buffer(20, 10), 0, 0);
    wl_surface_commit(child);
    wl_surface_commit(t.surface);
    // Two cached commits of a synchronised sub-surface add up.
    for (const int x : {1, 2}) {
        wl_surface_offset(child, x, 0);
        wl_surface_commit(child);
    }
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "145,125 20x10 content"));
    wl_surface_commit(t.surface);
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "148,125 20x10 content"));

    // Legal, and far out of sight.
    wl_surface_offset(t.surface, INT32_MAX, INT32_MIN);
    wl_surface_commit(t.surface);
    wl_surface_offset(t.surface, INT32_MAX, INT32_MIN);
    wl_surface_commit(t.surface);
    c.sync();
    compositor.show();
    CHECK(c.alive());
    CHECK_FALSE(shows(compositor, "148,125 20x10 content"));
}

TEST_CASE("commits of a synchronised sub-surface are cached as one, and replaced buffers are released") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.pixel(), 100, 100);
    wl_surface* child = c.surface();
    wl_subcompositor_get_subsurface(c.subcompositor, child, t.surface);
    Flag released, done;
    wl_buffer* first = c.shm_buffer(20, 20);
    wl_buffer_add_listener(first, &release_listener, &released);
    want_frame(child, done);
    wl_surface_attach(child, first, 0, 0);
    wl_surface_commit(child);
    c.sync();
    CHECK(released.count == 0);
    wl_surface_attach(child, c.shm_buffer(10, 10), 0, 0);
    want_frame(child, done);
    wl_surface_commit(child);
    c.sync();
    CHECK(released.count == 1);
    wl_surface_commit(t.surface);
    c.sync();
    compositor.show();
    c.sync();
    CHECK(shows(compositor, "150,100 10x10 content"));
    CHECK(done.count == 2);
}

TEST_CASE("surfaces enter and leave the output") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    static int entered, left;
    entered = left = 0;
    static const wl_surface_listener listener{
        [](void*, wl_surface*, wl_output*) { ++entered; }, [](void*, wl_surface*, wl_output*) { ++left; },
        [](void*, wl_surface*, std::int32_t) {}, [](void*, wl_surface*, std::uint32_t) {}};
    wl_surface_add_listener(t.surface, &listener, nullptr);
    t.map(c.pixel(), 10, 10);
    compositor.show();
    c.sync();
    CHECK(entered == 1);
    SECTION("and enter an output that is bound later") {
        wl_registry_bind(c.registry, c.output_name, &wl_output_interface, 4);
        c.sync();
        CHECK(entered == 2);
    }
    wl_surface_attach(t.surface, nullptr, 0, 0);
    wl_surface_commit(t.surface);
    c.sync();
    compositor.show();
    c.sync();
    CHECK(left >= 1);
}

TEST_CASE("only damaged pixels are drawn again") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.shm_buffer(100, 100));
    compositor.show();
    wl_surface_attach(t.surface, c.shm_buffer(100, 100), 0, 0);
    wl_surface_damage_buffer(t.surface, 10, 10, 8, 8);
    wl_surface_commit(t.surface);
    c.sync();
    REQUIRE(compositor.show());
    CHECK(compositor.picture().damaged_pixels == 64);
}

TEST_CASE("the ledger has a record for each new content that was shown") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.shm_buffer(100, 100));
    compositor.show();
    REQUIRE(compositor.ledger().frames().size() == 1);
    const share::FrameRecord& record = compositor.ledger().frames().front();
    CHECK(record.stream.starts_with("wl_surface "));
    CHECK(record.frame == 1);
    REQUIRE(record.steps.size() == 3); // import, the background, the content
    CHECK(record.steps[0].stage == "import");
    CHECK(record.steps[2].bytes_copied == 100 * 100 * 4);
    CHECK(compositor.ledger().totals().copied_by_compositor == 40'000);
    CHECK_FALSE(compositor.show());
    CHECK(compositor.ledger().frames().size() == 1);
}

TEST_CASE("with several streams in one frame each has the step that drew it") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel a(c), b(c);
    a.map(c.shm_buffer(10, 10));
    b.map(c.shm_buffer(20, 20, WL_SHM_FORMAT_ARGB8888));
    compositor.show();
    std::vector<std::uint64_t> copied;
    for (const auto& record : compositor.ledger().frames())
        if (record.stream != "output") copied.push_back(record.steps.back().bytes_copied.value_or(0));
    std::sort(copied.begin(), copied.end());
    CHECK(copied == std::vector<std::uint64_t>{400, 1600});
}

TEST_CASE("memory that a client truncated costs that client alone") {
    TestCompositor compositor;
    TestClient bystander(compositor);
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.shm_buffer(100, 100));
    compositor.lose_content_in_next_frame();
    REQUIRE(compositor.show());
    c.sync();
    const auto error = c.error();
    REQUIRE(error);
    CHECK(error->code == WL_SHM_ERROR_INVALID_FD);
    CHECK(bystander.alive());
}

TEST_CASE("truncated memory is refused at the commit, and also when its wl_buffer is gone") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    wl_buffer* buffer = c.shm_buffer(100, 100);
    SECTION("at the commit") {
        compositor.lose_content_at_commit();
        t.map(buffer);
        REQUIRE(c.error());
        CHECK(c.error()->code == WL_SHM_ERROR_INVALID_FD);
    }
    SECTION("drawn after the wl_buffer was destroyed") {
        t.map(buffer);
        wl_buffer_destroy(buffer);
        c.sync();
        compositor.lose_content_in_next_frame();
        REQUIRE(compositor.show());
        c.sync();
        REQUIRE(c.error());
        CHECK(c.error()->code == WL_DISPLAY_ERROR_IMPLEMENTATION);
    }
}

TEST_CASE("what could not be read in time is drawn again in the next frame") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.shm_buffer(100, 100));
    compositor.leave_next_frame_undrawn();
    REQUIRE(compositor.show());
    REQUIRE(compositor.show());
    CHECK(compositor.picture().damaged_pixels == 100 * 100);
    CHECK_FALSE(compositor.show());
}

TEST_CASE("a buffer that is copied is given back after the frame, and then not shown directly") {
    TestCompositor compositor;
    compositor.copy_contents();
    TestClient c(compositor);
    TestToplevel t(c);
    xdg_toplevel_set_fullscreen(t.toplevel, nullptr);
    c.sync();
    Flag released;
    wl_buffer* buffer = c.shm_buffer(400, 300);
    wl_buffer_add_listener(buffer, &release_listener, &released);
    t.map(buffer);
    compositor.show();
    c.sync();
    CHECK(compositor.picture().direct); // nobody drew, so nobody copied
    CHECK(released.count == 0);

    TestToplevel above(c);
    above.map(c.pixel(), 40, 40);
    compositor.show();
    c.sync();
    CHECK_FALSE(compositor.picture().direct);
    if (released.count == 0) { // only drawn pixels make a copy; draw it as a whole
        wl_surface_damage_buffer(t.surface, 0, 0, 400, 300);
        wl_surface_commit(t.surface);
        c.sync();
        compositor.show();
        c.sync();
    }
    CHECK(released.count == 1);

    xdg_toplevel_destroy(above.toplevel);
    c.sync();
    REQUIRE(compositor.show());
    CHECK_FALSE(compositor.picture().direct); // the client may be writing it
    wl_surface_attach(t.surface, buffer, 0, 0);
    wl_surface_damage_buffer(t.surface, 0, 0, 400, 300);
    wl_surface_commit(t.surface);
    c.sync();
    compositor.show();
    CHECK(compositor.picture().direct);
    c.sync();
    CHECK(released.count == 1);
}

TEST_CASE("set_desync applies what the synchronised sub-surface had cached") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.pixel(), 100, 100);
    wl_surface* child = c.surface();
    wl_subsurface* sub = wl_subcompositor_get_subsurface(c.subcompositor, child, t.surface);
    wl_surface_commit(t.surface);
    wl_surface_attach(child, c.shm_buffer(20, 10), 0, 0);
    wl_surface_commit(child);
    c.sync();
    compositor.show();
    CHECK_FALSE(shows(compositor, "150,100 20x10 content"));
    wl_subsurface_set_desync(sub);
    c.sync();
    compositor.show();
    CHECK(shows(compositor, "150,100 20x10 content"));
}

TEST_CASE("a client that does not answer a ping is marked hung, until it does") {
    TestCompositor compositor;
    compositor.set_ping_patience(1);
    TestClient c(compositor);
    static std::uint32_t pinged;
    static const xdg_wm_base_listener listener{
        [](void*, xdg_wm_base*, std::uint32_t serial) { pinged = serial; }};
    xdg_wm_base_add_listener(c.wm_base, &listener, nullptr);
    TestToplevel t(c);
    t.map(c.pixel(), 10, 10);
    for (int i = 0; i < 1000 && compositor.hung_clients() == 0; ++i) {
        usleep(1000);
        compositor.serve();
    }
    CHECK(compositor.hung_clients() == 1);
    CHECK(c.alive());
    xdg_wm_base_pong(c.wm_base, pinged);
    c.sync();
    CHECK(compositor.hung_clients() == 0);
}

TEST_CASE("an output tells its mode, scale, name and description, and that this was all") {
    TestCompositor compositor;
    TestClient c(compositor);
    static std::string told;
    told.clear();
    static const wl_output_listener listener{
        [](void*, wl_output*, std::int32_t, std::int32_t, std::int32_t, std::int32_t, std::int32_t,
           const char*, const char*, std::int32_t) { told += "geometry "; },
        [](void*, wl_output*, std::uint32_t, std::int32_t width, std::int32_t height, std::int32_t refresh) {
            told +=
                std::to_string(width) + "x" + std::to_string(height) + "@" + std::to_string(refresh) + " ";
        },
        [](void*, wl_output*) { told += "done"; },
        [](void*, wl_output*, std::int32_t scale) { told += "scale=" + std::to_string(scale) + " "; },
        [](void*, wl_output*, const char* name) { told += std::string(name) + " "; },
        [](void*, wl_output*, const char*) { told += "description "; }};
    auto* output =
        static_cast<wl_output*>(wl_registry_bind(c.registry, c.output_name, &wl_output_interface, 4));
    wl_output_add_listener(output, &listener, nullptr);
    c.sync();
    CHECK(told == "geometry 400x300@60000 scale=1 HEADLESS-1 description done");
}

TEST_CASE("a hidden client that draws by its own clock and asks for callbacks lives on") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.pixel(), 10, 10);
    TestToplevel above(c);
    above.map(c.pixel(), 400, 300);
    compositor.show();
    Flag done;
    constexpr int commits = 9000;
    for (int i = 0; i < commits; ++i) {
        want_frame(t.surface, done);
        wl_surface_commit(t.surface);
        if (i % 100 == 0) c.sync();
    }
    CHECK(c.alive());
    CHECK(done.count > 0);
    CHECK(done.count < commits);
}
