// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include "fake_content.hpp"

#include <random>

using namespace compositor::scene;
using testing::fake_content;

namespace {

struct Screen {
    testing::CountingObserver observer;
    Scene scene{100, 80, Color{0.2F, 0.2F, 0.2F, 1}, observer};
};

Picture picture(int width, int height, share::Fourcc format = share::format::xrgb8888) {
    Picture p;
    p.content = fake_content(width, height, format);
    p.map.buffer = {width, height};
    p.blend = share::find_format(format)->alpha;
    if (!p.blend) p.opaque = Region({0, 0, width, height});
    return p;
}

struct TestWindow {
    Node node;
    Window window;
    TestWindow(int x, int y, Picture p) {
        node.set_picture(std::move(p));
        window = {&node, x, y, false};
    }
};

Region all() {
    return Region({0, 0, 100, 80});
}

} // namespace

TEST_CASE("the first frame is damaged as a whole, the next one not at all") {
    Screen s;
    Built first = s.scene.build();
    CHECK(first.frame.damage == all());
    REQUIRE(first.frame.items.size() == 1);
    CHECK(first.frame.items[0].clip == all());
    CHECK_FALSE(first.frame.items[0].content);
    Built second = s.scene.build();
    CHECK(second.frame.damage.empty());
    CHECK(second.frame.items.empty());
}

TEST_CASE("mapping, moving and unmapping damage the old and the new place") {
    Screen s;
    TestWindow w(10, 10, picture(20, 20));
    (void)s.scene.build();
    s.scene.add(w.window);
    CHECK(s.scene.build().frame.damage == Region({10, 10, 20, 20}));
    w.window.x = 15;
    CHECK(s.scene.build().frame.damage == Region({10, 10, 25, 20}));
    s.scene.remove(w.window);
    CHECK(s.scene.build().frame.damage == Region({15, 10, 20, 20}));
    CHECK(s.observer.changes == 2);
}

TEST_CASE("only announced pixels of a surface are damaged when its buffer is swapped for one of its kind") {
    Screen s;
    TestWindow w(10, 10, picture(20, 20));
    s.scene.add(w.window);
    (void)s.scene.build();
    w.node.set_picture(picture(20, 20));
    w.node.add_damage(Region({1, 2, 3, 4}));
    Built built = s.scene.build();
    CHECK(built.frame.damage == Region({11, 12, 3, 4}));
    REQUIRE(built.frame.items.size() == 1);
    CHECK(built.frame.items[0].clip == Region({11, 12, 3, 4}));
    CHECK(built.item_nodes[0] == w.node.id());
}

TEST_CASE("what an opaque surface hides is neither drawn nor damaged") {
    Screen s;
    TestWindow below(10, 10, picture(20, 20)), above(5, 5, picture(40, 40));
    s.scene.add(below.window);
    s.scene.add(above.window);
    Built built = s.scene.build();
    CHECK_FALSE(built.is_visible(below.node.id()));
    CHECK(built.is_visible(above.node.id()));
    below.node.add_damage(Region({0, 0, 20, 20}));
    CHECK(s.scene.build().frame.damage.empty());
}

TEST_CASE("what a translucent surface covers is drawn under it") {
    Screen s;
    TestWindow below(10, 10, picture(20, 20)), above(5, 5, picture(40, 40, share::format::argb8888));
    s.scene.add(below.window);
    s.scene.add(above.window);
    (void)s.scene.build();
    below.node.add_damage(Region({0, 0, 5, 5}));
    Built built = s.scene.build();
    REQUIRE(built.frame.items.size() == 2);
    CHECK(built.item_nodes[0] == below.node.id());
    CHECK(built.item_nodes[1] == above.node.id());
    CHECK(built.frame.items[1].clip == Region({10, 10, 5, 5}));
    CHECK(built.frame.items[1].blend);
}

TEST_CASE("an opaque region over all of a surface with alpha ends the blending") {
    Screen s;
    Picture p = picture(20, 20, share::format::argb8888);
    p.opaque = Region({-5, -5, 500, 500});
    TestWindow w(0, 0, p);
    s.scene.add(w.window);
    Built built = s.scene.build();
    REQUIRE(built.frame.items.size() == 2);
    CHECK_FALSE(built.frame.items[1].blend);
    CHECK(built.frame.items[0].clip.contains({20, 0, 80, 80}));
    CHECK_FALSE(built.frame.items[0].clip.contains({19, 19, 1, 1}));
}

TEST_CASE("a restack damages what comes forward") {
    Screen s;
    TestWindow a(10, 10, picture(20, 20)), b(20, 20, picture(20, 20));
    s.scene.add(a.window);
    s.scene.add(b.window);
    (void)s.scene.build();
    s.scene.add(a.window);
    const Built built = s.scene.build();
    CHECK(built.frame.damage.contains({20, 20, 10, 10}));
    CHECK_FALSE(built.frame.damage.contains({35, 35, 1, 1}));
}

TEST_CASE("one opaque buffer that covers the output 1:1 is shown directly") {
    Screen s;
    TestWindow w(0, 0, picture(100, 80));
    auto hold = std::make_shared<int>(1);
    Picture p = *w.node.picture();
    p.hold = hold;
    w.node.set_picture(p);
    s.scene.add(w.window);
    {
        const Built built = s.scene.build();
        CHECK(built.frame.direct == w.node.picture()->content);
        CHECK(built.direct_hold == hold);
    }

    SECTION("with an alpha channel it is not, unless its opaque region covers all") {
        w.node.set_picture(picture(100, 80, share::format::argb8888));
        CHECK_FALSE(s.scene.build().frame.direct);
        Picture opaque = picture(100, 80, share::format::argb8888);
        opaque.opaque = all();
        w.node.set_picture(opaque);
        CHECK(s.scene.build().frame.direct);
    }
    SECTION("moved by a pixel it is not") {
        w.window.x = 1;
        CHECK_FALSE(s.scene.build().frame.direct);
    }
    SECTION("transformed or scaled it is not") {
        Picture turned = picture(100, 80);
        turned.map.transform = Transform::rotate180;
        w.node.set_picture(turned);
        CHECK_FALSE(s.scene.build().frame.direct);
        Picture scaled = picture(200, 160);
        scaled.map.scale = 2;
        scaled.opaque = all();
        w.node.set_picture(scaled);
        CHECK_FALSE(s.scene.build().frame.direct);
    }
    SECTION("with something on top it is not, and only that is damaged") {
        TestWindow small(3, 3, picture(2, 2));
        s.scene.add(small.window);
        const Built built = s.scene.build();
        CHECK_FALSE(built.frame.direct);
        CHECK(built.frame.damage == Region({3, 3, 2, 2}));
        s.scene.remove(small.window);
    }
    SECTION("when its client has the buffer back it is not") {
        p.given_back = true;
        w.node.set_picture(p);
        CHECK_FALSE(s.scene.build().frame.direct);
    }
    SECTION("a single-colour picture is not a buffer to show") {
        Picture colour;
        colour.color = {1, 0, 0, 1};
        colour.map = {{1, 1}, 1, Transform::normal, {}, Size{100, 80}};
        colour.opaque = all();
        colour.blend = false;
        w.node.set_picture(colour);
        const Built built = s.scene.build();
        CHECK_FALSE(built.frame.direct);
        CHECK(built.frame.items.size() == 1);
    }
}

TEST_CASE("subsurfaces lie below and above their parent, at places relative to it") {
    Screen s;
    TestWindow w(10, 10, picture(20, 20));
    Node below, above;
    below.set_picture(picture(30, 30));
    below.set_position(-5, -5);
    above.set_picture(picture(4, 4));
    above.set_position(2, 3);
    w.node.set_children({&below}, {&above});
    s.scene.add(w.window);
    const Built built = s.scene.build();
    REQUIRE(built.item_nodes == std::vector<std::uint64_t>{0, below.id(), w.node.id(), above.id()});
    CHECK(built.frame.items[1].dest == Rect{5, 5, 30, 30});
    CHECK(built.frame.items[3].dest == Rect{12, 13, 4, 4});
    CHECK(w.node.bounds() == Rect{-5, -5, 30, 30});

    SECTION("and are hidden with it") {
        w.node.set_picture(std::nullopt);
        CHECK(s.scene.build().visible.empty());
    }
    SECTION("and a node that dies leaves no trace in its parent") {
        {
            Node late;
            late.set_picture(picture(5, 5));
            w.node.set_children({&below}, {&above, &late});
        }
        CHECK(w.node.above() == std::vector<Node*>{&above});
    }
}

TEST_CASE("a parent may die before its children") {
    Node child;
    {
        Node parent;
        parent.set_children({}, {&child});
        CHECK(child.parent() == &parent);
    }
    CHECK(child.parent() == nullptr);
}

TEST_CASE("drawing only the damage always gives the picture that drawing everything gives") {
    // A frame buffer of node ids, painted from items' clips, against one painted from scratch: over many
    // random changes of a few windows, some of them translucent (drawn as a mix of what is below).
    Screen s;
    std::mt19937 random(7);
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    std::vector<std::unique_ptr<TestWindow>> windows;
    std::vector<bool> mapped(6, false);
    for (int i = 0; i < 6; ++i) {
        const auto format = i % 2 == 0 ? share::format::xrgb8888 : share::format::argb8888;
        windows.push_back(std::make_unique<TestWindow>(0, 0, picture(10 + 8 * i, 50 - 7 * i, format)));
    }
    std::vector<std::uint64_t> shown(100 * 80, ~0ULL), full(100 * 80);
    const auto paint = [&](std::vector<std::uint64_t>& into, std::uint64_t id, bool blend,
                           const Region& where) {
        for (const auto& b : where.boxes())
            for (int y = b.y1; y < b.y2; ++y)
                for (int x = b.x1; x < b.x2; ++x) {
                    auto& pixel = into[static_cast<std::size_t>(y * 100 + x)];
                    pixel = blend ? pixel * 31 + id : id;
                }
    };
    for (int round = 0; round < 400; ++round) {
        const auto i = static_cast<std::size_t>(pick(6));
        TestWindow& w = *windows[i];
        switch (pick(4)) {
        case 0:
            if (mapped[i])
                s.scene.remove(w.window);
            else
                s.scene.add(w.window);
            mapped[i] = !mapped[i];
            break;
        case 1:
            w.window.x = pick(140) - 40;
            w.window.y = pick(120) - 40;
            break;
        case 2:
            if (mapped[i]) s.scene.add(w.window);
            break;
        case 3:
            w.window.fullscreen = mapped[i] && pick(4) == 0;
            break;
        }
        const Built built = s.scene.build();
        for (std::size_t k = 0; k < built.frame.items.size(); ++k)
            paint(shown, built.item_nodes[k], built.frame.items[k].blend, built.frame.items[k].clip);
        std::fill(full.begin(), full.end(), 0);
        for (Window* window : s.scene.windows()) {
            if (window->fullscreen) paint(full, 0, false, all());
            Region where({window->x, window->y, window->root->picture()->size().width,
                          window->root->picture()->size().height});
            where.intersect(Rect{0, 0, 100, 80});
            paint(full, window->root->id(), window->root->picture()->blend, where);
        }
        REQUIRE(shown == full);
    }
    for (auto& w : windows)
        s.scene.remove(w->window);
}

TEST_CASE("thousands of surfaces and boxes cost a bounded frame") {
    Screen s;
    std::vector<std::unique_ptr<Node>> nodes;
    std::vector<Node*> children;
    TestWindow w(0, 0, picture(100, 80, share::format::argb8888));
    for (int i = 0; i < 3000; ++i) {
        nodes.push_back(std::make_unique<Node>());
        nodes.back()->set_picture(picture(1, 1));
        nodes.back()->set_position((i * 2) % 100, (i / 50) * 2 % 80);
        children.push_back(nodes.back().get());
    }
    w.node.set_children({}, children);
    s.scene.add(w.window);
    (void)s.scene.build();
    for (auto& node : nodes)
        node->add_damage(Region({0, 0, 1, 1}));
    CHECK(s.scene.build().frame.damage.boxes().size() <= 512);
}
