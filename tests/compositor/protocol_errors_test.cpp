// SPDX-License-Identifier: MIT
// Each misuse gets the error that the protocol's XML names, on the object that it names, and another client
// of the same compositor never notices.
#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <climits>

#include "process.hpp"
#include "wayland_fixture.hpp"

using namespace testing;

namespace {

struct Case {
    const char* sentence;
    const char* interface;
    std::uint32_t code;
    void (*act)(TestClient&);
};

wl_surface* subsurface_of(TestClient& c, wl_surface* parent, wl_subsurface** object = nullptr) {
    wl_surface* surface = c.surface();
    wl_subsurface* made = wl_subcompositor_get_subsurface(c.subcompositor, surface, parent);
    if (object) *object = made;
    return surface;
}

xdg_positioner* positioner(TestClient& c) {
    xdg_positioner* p = xdg_wm_base_create_positioner(c.wm_base);
    xdg_positioner_set_size(p, 10, 10);
    xdg_positioner_set_anchor_rect(p, 0, 0, 10, 10);
    return p;
}

/// A surface with a viewport, as a sub-surface of nothing: state is applied at the commit.
struct Viewported {
    wl_surface* surface;
    wp_viewport* viewport;
    explicit Viewported(TestClient& c)
        : surface(c.surface()), viewport(wp_viewporter_get_viewport(c.viewporter, surface)) {}
};

/// libwayland's client no longer names an object that it has destroyed; the code is still that object's.
constexpr const char* destroyed = "";
constexpr auto fixed = wl_fixed_from_int;
constexpr auto no_memory = std::uint32_t{WL_DISPLAY_ERROR_NO_MEMORY};

/// Lets the server read now and then: a client blocked by a full socket would only be an error of its own.
bool flooding(TestClient& c, int i) {
    if (i % 64 == 63) c.sync();
    return wl_display_get_error(c.display) == 0;
}

const Case surface_cases[] = {
    {"a buffer scale of 0", "wl_surface", WL_SURFACE_ERROR_INVALID_SCALE,
     [](TestClient& c) { wl_surface_set_buffer_scale(c.surface(), 0); }},
    {"a negative buffer scale", "wl_surface", WL_SURFACE_ERROR_INVALID_SCALE,
     [](TestClient& c) { wl_surface_set_buffer_scale(c.surface(), -1); }},
    {"a transform of 8", "wl_surface", WL_SURFACE_ERROR_INVALID_TRANSFORM,
     [](TestClient& c) { wl_surface_set_buffer_transform(c.surface(), 8); }},
    {"a transform of -1", "wl_surface", WL_SURFACE_ERROR_INVALID_TRANSFORM,
     [](TestClient& c) { wl_surface_set_buffer_transform(c.surface(), -1); }},
    {"a buffer whose size is not a multiple of the scale", "wl_surface", WL_SURFACE_ERROR_INVALID_SIZE,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         wl_surface_set_buffer_scale(s, 2);
         wl_surface_attach(s, c.shm_buffer(3, 4), 0, 0);
         wl_surface_commit(s);
     }},
    {"a scale set after the buffer, which it does not divide", "wl_surface", WL_SURFACE_ERROR_INVALID_SIZE,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         wl_surface_attach(s, c.shm_buffer(3, 4), 0, 0);
         wl_surface_commit(s);
         wl_surface_set_buffer_scale(s, 2);
         wl_surface_commit(s);
     }},
    {"attach with an offset", "wl_surface", WL_SURFACE_ERROR_INVALID_OFFSET,
     [](TestClient& c) { wl_surface_attach(c.surface(), nullptr, 1, 0); }},
    {"a surface destroyed before its toplevel", destroyed, WL_SURFACE_ERROR_DEFUNCT_ROLE_OBJECT,
     [](TestClient& c) { wl_surface_destroy(TestToplevel(c).surface); }},
    {"a surface destroyed before its sub-surface object", destroyed, WL_SURFACE_ERROR_DEFUNCT_ROLE_OBJECT,
     [](TestClient& c) { wl_surface_destroy(subsurface_of(c, c.surface())); }},
};

const Case subsurface_cases[] = {
    {"a sub-surface of itself", "wl_subcompositor", WL_SUBCOMPOSITOR_ERROR_BAD_PARENT,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         wl_subcompositor_get_subsurface(c.subcompositor, s, s);
     }},
    {"a sub-surface of its own sub-surface", "wl_subcompositor", WL_SUBCOMPOSITOR_ERROR_BAD_PARENT,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         wl_subcompositor_get_subsurface(c.subcompositor, s, subsurface_of(c, s));
     }},
    {"two sub-surface objects of one surface", "wl_subcompositor", WL_SUBCOMPOSITOR_ERROR_BAD_SURFACE,
     [](TestClient& c) {
         wl_surface* parent = c.surface();
         wl_subcompositor_get_subsurface(c.subcompositor, subsurface_of(c, parent), parent);
     }},
    {"a toplevel made a sub-surface", "wl_subcompositor", WL_SUBCOMPOSITOR_ERROR_BAD_SURFACE,
     [](TestClient& c) {
         wl_subcompositor_get_subsurface(c.subcompositor, TestToplevel(c).surface, c.surface());
     }},
    {"place_above a surface that is no sibling", "wl_subsurface", WL_SUBSURFACE_ERROR_BAD_SURFACE,
     [](TestClient& c) {
         wl_subsurface* object;
         subsurface_of(c, c.surface(), &object);
         wl_subsurface_place_above(object, c.surface());
     }},
    {"place_below itself", "wl_subsurface", WL_SUBSURFACE_ERROR_BAD_SURFACE,
     [](TestClient& c) {
         wl_subsurface* object;
         wl_surface* child = subsurface_of(c, c.surface(), &object);
         wl_subsurface_place_below(object, child);
     }},
    {"sub-surfaces nested beyond the limit", "wl_display", no_memory,
     [](TestClient& c) {
         wl_surface* parent = c.surface();
         for (int i = 0; i < 100; ++i)
             parent = subsurface_of(c, parent);
     }},
    {"sub-surfaces nested beyond the limit, built from the leaf up", "wl_display", no_memory,
     [](TestClient& c) {
         wl_surface* child = c.surface();
         for (int i = 0; i < 100; ++i) {
             wl_surface* parent = c.surface();
             wl_subcompositor_get_subsurface(c.subcompositor, child, parent);
             child = parent;
         }
     }},
};

const Case shell_cases[] = {
    {"an xdg_surface of a sub-surface", "xdg_wm_base", XDG_WM_BASE_ERROR_ROLE,
     [](TestClient& c) { xdg_wm_base_get_xdg_surface(c.wm_base, subsurface_of(c, c.surface())); }},
    {"a second xdg_surface of one surface", "xdg_wm_base", XDG_WM_BASE_ERROR_ROLE,
     [](TestClient& c) { xdg_wm_base_get_xdg_surface(c.wm_base, TestToplevel(c).surface); }},
    {"a popup of what was a toplevel", "xdg_wm_base", XDG_WM_BASE_ERROR_ROLE,
     [](TestClient& c) {
         TestToplevel parent(c), t(c);
         xdg_toplevel_destroy(t.toplevel);
         xdg_surface_get_popup(t.base, parent.base, positioner(c));
     }},
    {"the shell destroyed before its surfaces", destroyed, XDG_WM_BASE_ERROR_DEFUNCT_SURFACES,
     [](TestClient& c) {
         TestToplevel t(c);
         xdg_wm_base_destroy(c.wm_base);
     }},
    {"an xdg_surface of a surface with a committed buffer", "xdg_wm_base",
     XDG_WM_BASE_ERROR_INVALID_SURFACE_STATE,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         wl_surface_attach(s, c.pixel(), 0, 0);
         wl_surface_commit(s);
         xdg_wm_base_get_xdg_surface(c.wm_base, s);
     }},
    {"an xdg_surface of a surface with an attached buffer", "xdg_wm_base",
     XDG_WM_BASE_ERROR_INVALID_SURFACE_STATE,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         wl_surface_attach(s, c.pixel(), 0, 0);
         xdg_wm_base_get_xdg_surface(c.wm_base, s);
     }},
    {"a maximized window of another size", "xdg_wm_base", XDG_WM_BASE_ERROR_INVALID_SURFACE_STATE,
     [](TestClient& c) {
         TestToplevel t(c);
         xdg_toplevel_set_maximized(t.toplevel);
         c.sync();
         t.map(c.pixel(), 100, 100);
     }},
    {"an incomplete positioner", "xdg_wm_base", XDG_WM_BASE_ERROR_INVALID_POSITIONER,
     [](TestClient& c) {
         TestToplevel t(c);
         xdg_surface* popup = xdg_wm_base_get_xdg_surface(c.wm_base, c.surface());
         xdg_surface_get_popup(popup, t.base, xdg_wm_base_create_positioner(c.wm_base));
     }},
    {"a popup without a parent", "xdg_wm_base", XDG_WM_BASE_ERROR_INVALID_POPUP_PARENT,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         xdg_surface_get_popup(xdg_wm_base_get_xdg_surface(c.wm_base, s), nullptr, positioner(c));
         wl_surface_commit(s);
     }},
    {"a popup of a parent that is not mapped", "xdg_wm_base", XDG_WM_BASE_ERROR_INVALID_POPUP_PARENT,
     [](TestClient& c) {
         TestToplevel t(c);
         wl_surface* s = c.surface();
         xdg_surface_get_popup(xdg_wm_base_get_xdg_surface(c.wm_base, s), t.base, positioner(c));
         wl_surface_commit(s);
     }},
    {"a popup destroyed before its own popup", "xdg_wm_base", XDG_WM_BASE_ERROR_NOT_THE_TOPMOST_POPUP,
     [](TestClient& c) {
         TestToplevel t(c);
         t.map(c.pixel());
         xdg_surface* outer = xdg_wm_base_get_xdg_surface(c.wm_base, c.surface());
         xdg_popup* popup = xdg_surface_get_popup(outer, t.base, positioner(c));
         xdg_surface_get_popup(xdg_wm_base_get_xdg_surface(c.wm_base, c.surface()), outer, positioner(c));
         xdg_popup_destroy(popup);
     }},
    {"an xdg_surface committed without a role", "xdg_surface", XDG_SURFACE_ERROR_NOT_CONSTRUCTED,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         xdg_wm_base_get_xdg_surface(c.wm_base, s);
         wl_surface_commit(s);
     }},
    {"a window geometry without a role", "xdg_surface", XDG_SURFACE_ERROR_NOT_CONSTRUCTED,
     [](TestClient& c) {
         xdg_surface_set_window_geometry(xdg_wm_base_get_xdg_surface(c.wm_base, c.surface()), 0, 0, 1, 1);
     }},
    {"a second toplevel of one xdg_surface", "xdg_surface", XDG_SURFACE_ERROR_ALREADY_CONSTRUCTED,
     [](TestClient& c) { xdg_surface_get_toplevel(TestToplevel(c).base); }},
    {"a buffer before the first ack", "xdg_surface", XDG_SURFACE_ERROR_UNCONFIGURED_BUFFER,
     [](TestClient& c) {
         TestToplevel t(c);
         wl_surface_attach(t.surface, c.pixel(), 0, 0);
         wl_surface_commit(t.surface);
     }},
    {"a buffer in the very first commit", "xdg_surface", XDG_SURFACE_ERROR_UNCONFIGURED_BUFFER,
     [](TestClient& c) {
         TestToplevel t(c, false);
         wl_surface_attach(t.surface, c.pixel(), 0, 0);
         wl_surface_commit(t.surface);
     }},
    {"a buffer after unmapping, without a new configure", "xdg_surface",
     XDG_SURFACE_ERROR_UNCONFIGURED_BUFFER,
     [](TestClient& c) {
         TestToplevel t(c);
         t.map(c.pixel());
         wl_surface_attach(t.surface, nullptr, 0, 0);
         wl_surface_commit(t.surface);
         wl_surface_attach(t.surface, c.pixel(), 0, 0);
         wl_surface_commit(t.surface);
     }},
    {"the ack of a serial that was never sent", "xdg_surface", XDG_SURFACE_ERROR_INVALID_SERIAL,
     [](TestClient& c) {
         TestToplevel t(c);
         xdg_surface_ack_configure(t.base, t.serial + 1000);
     }},
    {"the same configure acked twice", "xdg_surface", XDG_SURFACE_ERROR_INVALID_SERIAL,
     [](TestClient& c) {
         TestToplevel t(c);
         xdg_surface_ack_configure(t.base, t.serial);
         xdg_surface_ack_configure(t.base, t.serial);
     }},
    {"an older configure acked after a newer one", "xdg_surface", XDG_SURFACE_ERROR_INVALID_SERIAL,
     [](TestClient& c) {
         TestToplevel t(c);
         const std::uint32_t old = t.serial;
         xdg_toplevel_set_maximized(t.toplevel);
         c.sync();
         xdg_surface_ack_configure(t.base, t.serial);
         xdg_surface_ack_configure(t.base, old);
     }},
    {"a window geometry of width 0", "xdg_surface", XDG_SURFACE_ERROR_INVALID_SIZE,
     [](TestClient& c) { xdg_surface_set_window_geometry(TestToplevel(c).base, 0, 0, 0, 1); }},
    {"a window geometry of negative height", "xdg_surface", XDG_SURFACE_ERROR_INVALID_SIZE,
     [](TestClient& c) { xdg_surface_set_window_geometry(TestToplevel(c).base, 0, 0, 1, -1); }},
    {"an xdg_surface destroyed before its toplevel", destroyed, XDG_SURFACE_ERROR_DEFUNCT_ROLE_OBJECT,
     [](TestClient& c) { xdg_surface_destroy(TestToplevel(c).base); }},
    {"a window as its own parent", "xdg_toplevel", XDG_TOPLEVEL_ERROR_INVALID_PARENT,
     [](TestClient& c) {
         TestToplevel t(c);
         xdg_toplevel_set_parent(t.toplevel, t.toplevel);
     }},
    {"a loop of parents", "xdg_toplevel", XDG_TOPLEVEL_ERROR_INVALID_PARENT,
     [](TestClient& c) {
         TestToplevel a(c), b(c);
         a.map(c.pixel());
         b.map(c.pixel());
         xdg_toplevel_set_parent(a.toplevel, b.toplevel);
         xdg_toplevel_set_parent(b.toplevel, a.toplevel);
     }},
    {"a negative minimum size", "xdg_toplevel", XDG_TOPLEVEL_ERROR_INVALID_SIZE,
     [](TestClient& c) { xdg_toplevel_set_min_size(TestToplevel(c).toplevel, -1, 0); }},
    {"a negative maximum size", "xdg_toplevel", XDG_TOPLEVEL_ERROR_INVALID_SIZE,
     [](TestClient& c) { xdg_toplevel_set_max_size(TestToplevel(c).toplevel, 0, -1); }},
    {"a minimum size above the maximum", "xdg_toplevel", XDG_TOPLEVEL_ERROR_INVALID_SIZE,
     [](TestClient& c) {
         TestToplevel t(c, false);
         xdg_toplevel_set_min_size(t.toplevel, 200, 10);
         xdg_toplevel_set_max_size(t.toplevel, 100, 100);
         wl_surface_commit(t.surface);
     }},
    {"a resize edge of 3", "xdg_toplevel", XDG_TOPLEVEL_ERROR_INVALID_RESIZE_EDGE,
     [](TestClient& c) { xdg_toplevel_resize(TestToplevel(c).toplevel, c.seat, 0, 3); }},
    {"a positioner of size 0", "xdg_positioner", XDG_POSITIONER_ERROR_INVALID_INPUT,
     [](TestClient& c) { xdg_positioner_set_size(positioner(c), 0, 1); }},
    {"a negative anchor rectangle", "xdg_positioner", XDG_POSITIONER_ERROR_INVALID_INPUT,
     [](TestClient& c) { xdg_positioner_set_anchor_rect(positioner(c), 0, 0, -1, 1); }},
    {"an anchor of 9", "xdg_positioner", XDG_POSITIONER_ERROR_INVALID_INPUT,
     [](TestClient& c) { xdg_positioner_set_anchor(positioner(c), 9); }},
    {"a gravity of 9", "xdg_positioner", XDG_POSITIONER_ERROR_INVALID_INPUT,
     [](TestClient& c) { xdg_positioner_set_gravity(positioner(c), 9); }},
};

const Case viewport_cases[] = {
    {"two viewports of one surface", "wp_viewporter", WP_VIEWPORTER_ERROR_VIEWPORT_EXISTS,
     [](TestClient& c) { wp_viewporter_get_viewport(c.viewporter, Viewported(c).surface); }},
    {"a source of negative x", "wp_viewport", WP_VIEWPORT_ERROR_BAD_VALUE,
     [](TestClient& c) { wp_viewport_set_source(Viewported(c).viewport, fixed(-2), 0, fixed(1), fixed(1)); }},
    {"a source of width 0", "wp_viewport", WP_VIEWPORT_ERROR_BAD_VALUE,
     [](TestClient& c) { wp_viewport_set_source(Viewported(c).viewport, 0, 0, 0, fixed(1)); }},
    {"a destination of height 0", "wp_viewport", WP_VIEWPORT_ERROR_BAD_VALUE,
     [](TestClient& c) { wp_viewport_set_destination(Viewported(c).viewport, 5, 0); }},
    {"a destination of -1 by 5", "wp_viewport", WP_VIEWPORT_ERROR_BAD_VALUE,
     [](TestClient& c) { wp_viewport_set_destination(Viewported(c).viewport, -1, 5); }},
    {"a fractional source without a destination", "wp_viewport", WP_VIEWPORT_ERROR_BAD_SIZE,
     [](TestClient& c) {
         Viewported v(c);
         wp_viewport_set_source(v.viewport, 0, 0, fixed(1) / 2, fixed(1));
         wl_surface_attach(v.surface, c.pixel(), 0, 0);
         wl_surface_commit(v.surface);
     }},
    {"a source beyond the buffer", "wp_viewport", WP_VIEWPORT_ERROR_OUT_OF_BUFFER,
     [](TestClient& c) {
         Viewported v(c);
         wp_viewport_set_source(v.viewport, 0, 0, fixed(2), fixed(1));
         wl_surface_attach(v.surface, c.pixel(), 0, 0);
         wl_surface_commit(v.surface);
     }},
    {"a buffer that became too small for the source", "wp_viewport", WP_VIEWPORT_ERROR_OUT_OF_BUFFER,
     [](TestClient& c) {
         Viewported v(c);
         wp_viewport_set_source(v.viewport, 0, 0, fixed(8), fixed(8));
         wl_surface_attach(v.surface, c.shm_buffer(8, 8), 0, 0);
         wl_surface_commit(v.surface);
         wl_surface_attach(v.surface, c.shm_buffer(4, 4), 0, 0);
         wl_surface_commit(v.surface);
     }},
    {"a viewport used after its surface", "wp_viewport", WP_VIEWPORT_ERROR_NO_SURFACE,
     [](TestClient& c) {
         Viewported v(c);
         wl_surface_destroy(v.surface);
         wp_viewport_set_destination(v.viewport, 1, 1);
     }},
};

const Case other_cases[] = {
    {"a pointer of a seat without one", "wl_seat", WL_SEAT_ERROR_MISSING_CAPABILITY,
     [](TestClient& c) { wl_seat_get_pointer(c.seat); }},
    {"a keyboard of a seat without one", "wl_seat", WL_SEAT_ERROR_MISSING_CAPABILITY,
     [](TestClient& c) { wl_seat_get_keyboard(c.seat); }},
    {"a touch screen of a seat without one", "wl_seat", WL_SEAT_ERROR_MISSING_CAPABILITY,
     [](TestClient& c) { wl_seat_get_touch(c.seat); }},
    {"unknown drag actions", "wl_data_source", WL_DATA_SOURCE_ERROR_INVALID_ACTION_MASK,
     [](TestClient& c) {
         wl_data_source_set_actions(wl_data_device_manager_create_data_source(c.data_device_manager),
                                    1U << 10U);
     }},
    {"a selection used twice", "wl_data_device", WL_DATA_DEVICE_ERROR_USED_SOURCE,
     [](TestClient& c) {
         wl_data_device* device = wl_data_device_manager_get_data_device(c.data_device_manager, c.seat);
         wl_data_source* source = wl_data_device_manager_create_data_source(c.data_device_manager);
         wl_data_device_set_selection(device, source, 0);
         wl_data_device_set_selection(device, source, 0);
     }},
    {"a flood of surfaces", "wl_display", no_memory,
     [](TestClient& c) {
         for (int i = 0; i < 3000 && flooding(c, i); ++i)
             c.surface();
     }},
    {"a flood of regions", "wl_display", no_memory,
     [](TestClient& c) {
         for (int i = 0; i < 3000 && flooding(c, i); ++i)
             wl_compositor_create_region(c.compositor);
     }},
    {"a flood of frame callbacks", "wl_display", no_memory,
     [](TestClient& c) {
         wl_surface* s = c.surface();
         for (int i = 0; i < 10'000 && flooding(c, i); ++i)
             wl_surface_frame(s);
     }},
    {"a flood of buffers", "wl_display", no_memory,
     [](TestClient& c) {
         for (int i = 0; i < 5000 && flooding(c, i); ++i)
             c.pixel();
     }},
    {"a region of too many rectangles", "wl_display", no_memory,
     [](TestClient& c) {
         wl_region* r = wl_compositor_create_region(c.compositor);
         for (int i = 0; i < 2000 && flooding(c, i); ++i)
             wl_region_add(r, 2 * i, 2 * i, 1, 1);
     }},
};

template<std::size_t n>
void check_all(const Case (&cases)[n]) {
    for (const Case& one : cases) {
        DYNAMIC_SECTION(one.sentence) {
            const std::size_t fds = count_fds();
            {
                TestCompositor compositor;
                TestClient bystander(compositor);
                {
                    TestClient client(compositor);
                    one.act(client);
                    client.sync();
                    const auto error = client.error();
                    REQUIRE(error);
                    CHECK(*error == PostedError{one.interface, one.code});
                }
                CHECK(bystander.alive());
                compositor.show();
            }
            CHECK(count_fds() == fds);
        }
    }
}

} // namespace

TEST_CASE("wl_surface answers misuse with its own errors") {
    check_all(surface_cases);
}
TEST_CASE("wl_subcompositor and wl_subsurface answer misuse with their own errors") {
    check_all(subsurface_cases);
}
TEST_CASE("xdg-shell answers misuse with its own errors") {
    check_all(shell_cases);
}
TEST_CASE("wp_viewporter answers misuse with its own errors") {
    check_all(viewport_cases);
}
TEST_CASE("seats, data devices and quotas answer misuse with their own errors") {
    check_all(other_cases);
}

TEST_CASE("a popup that grabs after it was mapped gets invalid_grab") {
    TestCompositor compositor;
    TestClient c(compositor);
    TestToplevel t(c);
    t.map(c.pixel());
    wl_surface* s = c.surface();
    xdg_surface* base = xdg_wm_base_get_xdg_surface(c.wm_base, s);
    xdg_popup* popup = xdg_surface_get_popup(base, t.base, positioner(c));
    static std::uint32_t serial;
    static const xdg_surface_listener listener{
        [](void*, xdg_surface*, std::uint32_t given) { serial = given; }};
    xdg_surface_add_listener(base, &listener, nullptr);
    wl_surface_commit(s);
    c.sync();
    xdg_surface_ack_configure(base, serial);
    wl_surface_attach(s, c.pixel(), 0, 0);
    wl_surface_commit(s);
    xdg_popup_grab(popup, c.seat, 0);
    c.sync();
    CHECK(c.error() == PostedError{"xdg_popup", XDG_POPUP_ERROR_INVALID_GRAB});
}

TEST_CASE("what is unusual but legal costs nobody anything") {
    TestCompositor compositor;
    TestClient c(compositor);

    SECTION("damage without bounds") {
        TestToplevel t(c);
        t.map(c.pixel(), 50, 50);
        wl_surface_damage(t.surface, INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX);
        wl_surface_damage(t.surface, 0, 0, INT32_MAX, INT32_MAX);
        wl_surface_damage_buffer(t.surface, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX);
        wl_surface_damage(t.surface, 5, 5, -10, -10);
        wl_surface_commit(t.surface);
        CHECK(c.alive());
        CHECK(compositor.show());
    }
    SECTION("regions and positions at the ends of int32") {
        wl_region* r = wl_compositor_create_region(c.compositor);
        wl_region_add(r, INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX);
        wl_region_add(r, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX);
        wl_region_subtract(r, INT32_MIN, 0, INT32_MAX, 1);
        TestToplevel t(c);
        wl_surface_set_opaque_region(t.surface, r);
        wl_surface_set_input_region(t.surface, nullptr);
        wl_subsurface* sub;
        wl_surface* child = subsurface_of(c, t.surface, &sub);
        wl_subsurface_set_position(sub, INT32_MAX, INT32_MIN);
        wl_surface_attach(child, c.pixel(), 0, 0);
        wl_surface_commit(child);
        t.map(c.pixel(0), INT32_MAX, INT32_MAX);
        CHECK(c.alive());
        CHECK(compositor.show());
    }
    SECTION("a title that is not UTF-8") {
        TestToplevel t(c);
        xdg_toplevel_set_title(t.toplevel, "\xff\xfe bad \xc3");
        xdg_toplevel_set_app_id(t.toplevel, "");
        CHECK(c.alive());
    }
    SECTION("a buffer destroyed between attach and commit, and one while it is shown") {
        TestToplevel t(c);
        xdg_surface_ack_configure(t.base, t.serial);
        wl_buffer* buffer = c.shm_buffer(20, 20);
        wl_surface_attach(t.surface, buffer, 0, 0);
        wl_buffer_destroy(buffer);
        wl_surface_commit(t.surface);
        CHECK(c.alive());
        CHECK(compositor.show());
        CHECK(compositor.picture().items.back() == "190,140 20x20 content");
    }
    SECTION("an older configure skipped") {
        TestToplevel t(c);
        xdg_toplevel_set_fullscreen(t.toplevel, nullptr);
        c.sync();
        t.map(c.pixel(), 400, 300);
        CHECK(c.alive());
    }
    SECTION("a minimum above the old maximum, when the maximum follows before the commit") {
        TestToplevel t(c, false);
        xdg_toplevel_set_max_size(t.toplevel, 50, 50);
        wl_surface_commit(t.surface);
        xdg_toplevel_set_min_size(t.toplevel, 60, 60);
        xdg_toplevel_set_max_size(t.toplevel, 100, 0);
        wl_surface_commit(t.surface);
        CHECK(c.alive());
    }
    SECTION("objects destroyed in an odd order by a client that vanishes") {
        {
            TestClient other(compositor);
            TestToplevel t(other);
            t.map(other.pixel(), 30, 30);
            subsurface_of(other, subsurface_of(other, t.surface));
            wl_callback_destroy(wl_surface_frame(t.surface));
            wl_surface_frame(t.surface);
            wl_surface_commit(t.surface);
            other.sync();
            compositor.show();
        }
        compositor.serve();
        CHECK(compositor.clients() == 1);
        CHECK(compositor.surfaces() == 0);
        CHECK(c.alive());
        compositor.show();
    }
}

TEST_CASE("half a message makes nobody wait") {
    TestCompositor compositor;
    TestClient bystander(compositor);
    const share::UniqueFd raw = compositor.connect();
    const std::uint32_t half[] = {1};
    REQUIRE(write(raw.get(), half, sizeof(half)) == sizeof(half));
    CHECK(bystander.alive());
    CHECK(compositor.clients() == 2);
}

TEST_CASE("a message shorter than its header ends that client alone") {
    TestCompositor compositor;
    TestClient bystander(compositor);
    const share::UniqueFd raw = compositor.connect();
    const std::uint32_t message[] = {1, 4U << 16U};
    REQUIRE(write(raw.get(), message, sizeof(message)) == sizeof(message));
    CHECK(bystander.alive());
    compositor.serve();
    CHECK(compositor.clients() == 1);
}
