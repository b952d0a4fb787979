// SPDX-License-Identifier: MIT
#include "reference.hpp"

#include <numeric>
#include <random>

using namespace testing;
using scene::Transform;

namespace {

constexpr int width = 128, height = 96;

struct Stage {
    explicit Stage(const std::string& name) : renderer(make_renderer(name)) {
        auto made = renderer->create_target(width, height);
        REQUIRE(made);
        target = std::move(*made);
        reference.assign(std::size_t{width} * height, 0);
        scene::Item back;
        back.color = {0.2F, 0.4F, 0.6F, 1};
        back.dest = {0, 0, width, height};
        back.clip = scene::Region(back.dest);
        show({{back, nullptr}});
    }
    Drawn show(const std::vector<ReferenceItem>& items) {
        std::vector<scene::Item> plain;
        for (const auto& it : items)
            plain.push_back(it.item);
        draw_reference(reference, width, height, items);
        return draw(*renderer, *target, plain);
    }
    int off() { return difference(picture(*renderer, *target), reference); }
    std::shared_ptr<scene::Content> content(int w, int h, share::Fourcc format, const Pixels& pixels) {
        auto buffer = make_buffer(w, h, format);
        write(*buffer, pixels);
        return import(*renderer, buffer);
    }
    std::unique_ptr<render::Renderer> renderer;
    std::unique_ptr<render::Target> target;
    Pixels reference;
};

} // namespace

TEST_CASE("an opaque buffer one to one is shown exactly, and counted to the byte") {
    Stage stage(GENERATE("pixman", "gl"));
    const auto pixels = noise(60, 50, 1);
    const auto content =
        stage.content(60, 50, GENERATE(share::format::xrgb8888, share::format::argb8888), pixels);
    auto item = item_of(content, {10, 20, 60, 50});
    const auto drawn = stage.show({{item, &pixels}});
    CHECK(stage.off() == 0);
    REQUIRE(drawn.steps.size() == 1);
    CHECK(drawn.steps[0].mechanism == share::Mechanism::blit);
    CHECK(drawn.steps[0].bytes_copied == 60 * 50 * 4);
}

TEST_CASE("only the clip is drawn, however many rectangles it has") {
    Stage stage(GENERATE("pixman", "gl"));
    const auto pixels = noise(100, 80, 2);
    auto item = item_of(stage.content(100, 80, share::format::xrgb8888, pixels), {5, 3, 100, 80});
    item.clip = scene::Region(scene::Rect{10, 10, 7, 5});
    item.clip.add(scene::Rect{50, 30, 20, 21});
    item.clip.add(scene::Rect{90, 4, 15, 70});
    const auto drawn = stage.show({{item, &pixels}});
    CHECK(stage.off() == 0);
    CHECK(drawn.steps.at(0).bytes_copied == item.clip.area() * 4);
}

TEST_CASE("a clip beyond the output or the item draws nothing outside") {
    Stage stage(GENERATE("pixman", "gl"));
    const auto pixels = noise(40, 40, 3);
    auto item = item_of(stage.content(40, 40, share::format::xrgb8888, pixels), {-10, 70, 40, 40});
    item.clip = scene::Region(scene::Rect{0, 70, 30, 26});
    stage.show({{item, &pixels}});
    item.clip = scene::Region(scene::Rect{-1000, -1000, 5000, 5000});
    draw(*stage.renderer, *stage.target, {item});
    CHECK(stage.off() == 0);
}

TEST_CASE("all eight transforms are undone exactly, with and without whole-number enlargement") {
    Stage stage(GENERATE("pixman", "gl"));
    const auto transform = static_cast<Transform>(GENERATE(0, 1, 2, 3, 4, 5, 6, 7));
    const int factor = GENERATE(1, 3);
    const auto pixels = noise(30, 20, 4);
    const bool turned = static_cast<unsigned>(transform) % 2 != 0;
    auto item = item_of(stage.content(30, 20, share::format::xrgb8888, pixels),
                        {4, 5, (turned ? 20 : 30) * factor, (turned ? 30 : 20) * factor});
    item.transform = transform;
    stage.show({{item, &pixels}});
    CHECK(stage.off() == 0);
}

TEST_CASE("a part of a buffer is shown exactly") {
    Stage stage(GENERATE("pixman", "gl"));
    const auto pixels = noise(64, 64, 5);
    auto item = item_of(stage.content(64, 64, share::format::xrgb8888, pixels), {30, 10, 20, 24});
    item.source = {13, 17, 20, 24};
    stage.show({{item, &pixels}});
    CHECK(stage.off() == 0);
}

TEST_CASE("scaling is bilinear within three levels of 255") {
    Stage stage(GENERATE("pixman", "gl"));
    const auto pixels = noise(50, 40, 6, true);
    auto item = item_of(stage.content(50, 40, share::format::xrgb8888, pixels), {7, 9, 90, 61});
    item.source = {4, 3, 40, 30};
    // The content has steps of 255, which make an error of a hundredth of a pixel visible.
    stage.show({{item, &pixels}});
    CHECK(stage.off() <= 3);
}

TEST_CASE("premultiplied alpha is blended within one level") {
    Stage stage(GENERATE("pixman", "gl"));
    const auto under = noise(80, 80, 7), over = noise(60, 60, 8);
    auto back = item_of(stage.content(80, 80, share::format::xrgb8888, under), {0, 0, 80, 80});
    auto front = item_of(stage.content(60, 60, share::format::argb8888, over), {33, 21, 60, 60});
    front.blend = true;
    const auto drawn = stage.show({{back, &under}, {front, &over}});
    CHECK(stage.off() <= 1);
    CHECK(drawn.steps.at(1).mechanism == share::Mechanism::draw);
}

TEST_CASE("a single colour is filled, and blended when it is transparent") {
    Stage stage(GENERATE("pixman", "gl"));
    scene::Item item;
    item.dest = {20, 20, 50, 40};
    item.clip = scene::Region(item.dest);
    item.color = {0.25F, 0, 0.5F, 0.5F};
    item.blend = true;
    stage.show({{item, nullptr}});
    CHECK(stage.off() <= 1);
}

TEST_CASE("random scenes look as the reference says") {
    Stage stage(GENERATE("pixman", "gl"));
    std::mt19937 random(42);
    const auto roll = [&](int low, int high) {
        return std::uniform_int_distribution<int>(low, high)(random);
    };
    for (int round = 0; round < 12; ++round) {
        std::vector<Pixels> kept;
        kept.reserve(6);
        std::vector<ReferenceItem> items;
        for (int i = 0; i < 6; ++i) {
            const int w = roll(1, 70), h = roll(1, 70), factor = roll(1, 2);
            const bool blend = roll(0, 2) == 0;
            kept.push_back(noise(w, h, static_cast<std::uint32_t>(round * 10 + i)));
            auto item = item_of(
                stage.content(w, h, blend ? share::format::argb8888 : share::format::xrgb8888, kept.back()),
                {0, 0, 1, 1});
            item.transform = static_cast<Transform>(roll(0, 7));
            const bool turned = static_cast<unsigned>(item.transform) % 2 != 0;
            item.dest = {roll(-20, width), roll(-20, height), (turned ? h : w) * factor,
                         (turned ? w : h) * factor};
            item.clip = scene::Region(scene::Rect{roll(0, width), roll(0, height), roll(1, 60), roll(1, 60)});
            item.clip.add(scene::Rect{roll(0, width), roll(0, height), roll(1, 60), roll(1, 60)});
            item.clip.intersect(item.dest);
            item.clip.intersect(scene::Rect{0, 0, width, height});
            item.blend = blend;
            items.push_back({item, &kept.back()});
        }
        stage.show(items);
        REQUIRE(stage.off() <= 2);
        stage.reference = picture(*stage.renderer, *stage.target); // roundings do not add up
    }
}
