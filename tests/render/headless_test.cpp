// SPDX-License-Identifier: MIT
#include "render_support.hpp"

#include <algorithm>
#include <functional>

#include "backend/headless.hpp"
#include "backend/png_file.hpp"
#include "png_support.hpp"
#include "process.hpp"

using namespace testing;
using backend::HeadlessOutput;
using backend::Presented;

namespace {

constexpr int side = 40;

struct Desk final : HeadlessOutput::Painter {
    explicit Desk(int refresh_mhz, const std::string& name = "pixman") : renderer(make_renderer(name)) {
        auto made = HeadlessOutput::create(loop.get(), *renderer, side, side, refresh_mhz, *this);
        REQUIRE(made);
        output = std::move(*made);
    }
    void repaint() override {
        ++repaints;
        if (on_repaint) on_repaint();
    }
    void presented(const Presented& p) override { shown.push_back(p); }

    void turn(int wait_ms = 0) { wl_event_loop_dispatch(loop.get(), wait_ms); }
    Pixels screenshot() {
        auto picture = output->picture();
        REQUIRE(picture);
        const auto written =
            compositor::backend::write_png(dir / "shot.png", output->width(), output->height(), *picture);
        if (!written) FAIL(written.error().text());
        return read_png(dir / "shot.png");
    }
    scene::Frame frame(std::vector<scene::Item> items) const {
        scene::Frame f;
        f.width = f.height = side;
        for (const auto& item : items)
            f.damage.add(item.clip);
        f.items = std::move(items);
        return f;
    }
    // A frame that one buffer covers.
    scene::Frame covered(const std::shared_ptr<scene::Content>& content) const {
        auto f = frame({item_of(content, {0, 0, side, side})});
        f.direct = content;
        return f;
    }
    std::shared_ptr<scene::Content> content(const Pixels& pixels,
                                            share::Fourcc format = share::format::xrgb8888) {
        auto buffer = make_buffer(side, side, format);
        write(*buffer, pixels);
        return import(*renderer, buffer);
    }

    TempDir dir;
    std::unique_ptr<wl_event_loop, decltype(&wl_event_loop_destroy)> loop{wl_event_loop_create(),
                                                                          &wl_event_loop_destroy};
    std::unique_ptr<render::Renderer> renderer;
    std::unique_ptr<HeadlessOutput> output;
    int repaints = 0;
    std::function<void()> on_repaint;
    std::vector<Presented> shown;
};

Pixels rgb(Pixels pixels) {
    for (auto& p : pixels)
        p &= 0xffffff;
    return pixels;
}

} // namespace

TEST_CASE("without a refresh rate a repaint comes in the same turn of the loop, once for many requests") {
    Desk desk(0);
    desk.output->schedule_repaint();
    desk.output->schedule_repaint();
    desk.turn();
    CHECK(desk.repaints == 1);
    desk.turn();
    CHECK(desk.repaints == 1);
}

TEST_CASE("a painter that asks for a repaint in its repaint does not keep the loop from its other work") {
    Desk desk(0);
    desk.on_repaint = [&] { desk.output->schedule_repaint(); };
    desk.output->schedule_repaint();
    for (int i = 0; i < 5; ++i)
        desk.turn(100); // would never return
    CHECK(desk.repaints >= 3);
    CHECK(desk.repaints <= 12);
}

TEST_CASE("with a refresh rate repaints come on multiples of the period, and the frame says the period") {
    Desk desk(100'000);
    desk.on_repaint = [&] {
        scene::Item item;
        item.dest = {0, 0, side, side};
        item.clip = scene::Region(item.dest);
        REQUIRE(desk.output->commit(desk.frame({item})));
    };
    desk.output->schedule_repaint();
    CHECK(desk.repaints == 0);
    REQUIRE(eventually([&] {
        desk.turn(20);
        return desk.repaints == 1;
    }));
    REQUIRE(desk.shown.size() == 1);
    CHECK(desk.shown[0].refresh_ns == 10'000'000);
    CHECK(desk.shown[0].sequence == 1);
    CHECK_FALSE(desk.shown[0].zero_copy);
}

TEST_CASE("a buffer that covers the output is its picture: nothing is copied, and writes to it are seen") {
    Desk desk(0, GENERATE("pixman", "gl"));
    const auto first = noise(side, side, 1), second = noise(side, side, 2);
    const auto format = GENERATE(share::format::xrgb8888, share::format::argb8888);
    const auto content = desk.content(first, format);
    REQUIRE(desk.output->commit(desk.covered(content)));
    desk.turn();
    REQUIRE(desk.shown.size() == 1);
    CHECK(desk.shown[0].zero_copy);
    REQUIRE(desk.shown[0].steps.size() == 1);
    CHECK(desk.shown[0].steps[0].mechanism == share::Mechanism::scanout);
    CHECK(desk.shown[0].steps[0].bytes_copied == 0U);
    CHECK(desk.screenshot() == rgb(first));
    // A consumer holds it, so that its producer gets no write mapping; look behind the law.
    CHECK_FALSE(content->buffer()->map(share::Access::write, share::Deadline::none()));
    auto view = content->buffer()->memory()->view(share::Access::write);
    REQUIRE(view);
    std::memcpy(view->data(), second.data(), 4);
    CHECK(desk.screenshot()[0] == (second[0] & 0xffffff));
}

TEST_CASE("a directly shown buffer with swapped channels is read with the right colours") {
    Desk desk(0);
    const auto content = desk.content(Pixels(std::size_t{side} * side, 0xff112233), share::format::xbgr8888);
    REQUIRE(desk.output->commit(desk.covered(content)));
    CHECK(desk.screenshot()[7] == 0x332211);
}

TEST_CASE("when drawing begins again, the picture has no old pixels") {
    Desk desk(0, GENERATE("pixman", "gl"));
    const auto old = noise(side, side, 1), full = noise(side, side, 2), small = noise(8, 8, 3);
    REQUIRE(desk.output->commit(desk.frame({item_of(desk.content(old), {0, 0, side, side})})));
    const auto content = desk.content(full);
    REQUIRE(desk.output->commit(desk.covered(content)));
    // Something small comes on top; the frame's damage is only that.
    auto buffer = make_buffer(8, 8, share::format::xrgb8888);
    write(*buffer, small);
    REQUIRE(desk.output->commit(desk.frame({item_of(import(*desk.renderer, buffer), {16, 16, 8, 8})})));
    auto want = rgb(full);
    for (std::size_t y = 0; y < 8; ++y)
        for (std::size_t x = 0; x < 8; ++x)
            want[(y + 16) * side + x + 16] = small[y * 8 + x] & 0xffffff;
    CHECK(desk.screenshot() == want);
    CHECK(content->buffer()->map(share::Access::write, share::Deadline::none()).ok());
}

TEST_CASE("a buffer of another size or format is drawn, not shown directly") {
    Desk desk(0);
    const auto content = desk.content(Pixels(std::size_t{side} * side, 0), share::format::xrgb2101010);
    REQUIRE(desk.output->commit(desk.covered(content)));
    desk.turn();
    CHECK_FALSE(desk.shown.at(0).zero_copy);
}

TEST_CASE("an output that goes away with a repaint pending leaves nothing in the loop") {
    auto desk = std::make_unique<Desk>(GENERATE(0, 60'000));
    desk->output->schedule_repaint();
    desk->output.reset();
    desk->turn();
    CHECK(desk->repaints == 0);
}

TEST_CASE("a size or rate that is none is refused") {
    Desk desk(0);
    CHECK_FALSE(HeadlessOutput::create(desk.loop.get(), *desk.renderer, 0, 10, 0, desk));
    CHECK_FALSE(HeadlessOutput::create(desk.loop.get(), *desk.renderer, 10, 10, -1, desk));
}
