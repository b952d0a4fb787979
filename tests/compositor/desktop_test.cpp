// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include "fake_content.hpp"
#include "scene/desktop.hpp"

using namespace compositor::scene;
using Mode = Desktop::Mode;

namespace {

struct TestWindow : DesktopWindow {
    Node node;
    bool activated = false;
    TestWindow(int width, int height) {
        node.set_picture(Picture{nullptr,
                                 Color{1, 1, 1, 1},
                                 SurfaceMap{{1, 1}, 1, Transform::normal, {}, Size{width, height}},
                                 {},
                                 false,
                                 nullptr});
        window.root = &node;
    }
    void set_activated(bool on) override { activated = on; }
};

struct Screen {
    testing::CountingObserver observer;
    Scene scene{800, 600, Color{0, 0, 0, 1}, observer};
    Desktop desktop{scene};
};

} // namespace

TEST_CASE("a floating window is centred by its geometry, the next ones cascade") {
    Screen s;
    TestWindow first(220, 120), second(200, 100);
    s.desktop.map(first, {10, 10, 200, 100}, Mode::floating);
    CHECK(first.window.x == 290);
    CHECK(first.window.y == 240);
    s.desktop.map(second, {0, 0, 200, 100}, Mode::floating);
    CHECK(second.window.x == 332);
    CHECK(second.window.y == 282);
}

TEST_CASE("a floating window of the output's size lies in the corner, as does one that is larger") {
    Screen s;
    TestWindow exact(800, 600), large(1000, 700);
    s.desktop.map(exact, {0, 0, 800, 600}, Mode::floating);
    CHECK(exact.window.x == 0);
    CHECK(exact.window.y == 0);
    s.desktop.map(large, {0, 0, 1000, 700}, Mode::floating);
    CHECK(large.window.x == 0);
    CHECK(large.window.y == 0);
}

TEST_CASE("a fullscreen window that is too small is centred and hides what is below it") {
    Screen s;
    TestWindow below(300, 300), small(400, 300);
    s.desktop.map(below, {0, 0, 300, 300}, Mode::floating);
    s.desktop.map(small, {0, 0, 400, 300}, Mode::fullscreen);
    CHECK(small.window.x == 200);
    CHECK(small.window.y == 150);
    const Built built = s.scene.build();
    CHECK_FALSE(built.is_visible(below.node.id()));
    CHECK(built.is_visible(small.node.id()));
}

TEST_CASE("leaving fullscreen goes back to the floating place") {
    Screen s;
    TestWindow window(400, 300);
    s.desktop.map(window, {0, 0, 400, 300}, Mode::floating);
    s.desktop.update(window, {0, 0, 800, 600}, Mode::fullscreen);
    CHECK(window.window.x == 0);
    s.desktop.update(window, {0, 0, 400, 300}, Mode::floating);
    CHECK(window.window.x == 200);
    CHECK(window.window.y == 150);
    CHECK_FALSE(window.window.fullscreen);
}

TEST_CASE("exactly one window is active: the one mapped last, then the one below it") {
    Screen s;
    TestWindow first(10, 10), second(10, 10);
    s.desktop.map(first, {0, 0, 10, 10}, Mode::floating);
    CHECK(first.activated);
    s.desktop.map(second, {0, 0, 10, 10}, Mode::floating);
    CHECK(second.activated);
    CHECK_FALSE(first.activated);
    s.desktop.unmap(second);
    CHECK(first.activated);
    CHECK_FALSE(second.activated);
    s.desktop.unmap(second);
    s.desktop.unmap(first);
    CHECK(s.desktop.active() == nullptr);
    CHECK(s.scene.windows().empty());
}
