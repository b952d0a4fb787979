// SPDX-License-Identifier: MIT
#include "render_support.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "process.hpp"
#include "render/probe.hpp"

using namespace testing;

namespace {

constexpr int side = 48;

// A buffer in a file that its client may truncate, at this offset and stride.
std::shared_ptr<share::Buffer> shrinkable_buffer(std::uint64_t offset, std::uint32_t stride,
                                                 share::Fourcc format, share::UniqueFd& file) {
    const std::uint64_t size = 128 * 1024;
    file.reset(memfd_create("pool", MFD_CLOEXEC));
    REQUIRE(ftruncate(file.get(), static_cast<off_t>(size)) == 0);
    share::ImportRules rules;
    rules.accept_shrinkable = true;
    auto memory = share::import_fd(share::UniqueFd(dup(file.get())), rules);
    REQUIRE(memory);
    const share::Plane plane{offset, stride};
    auto layout = share::Layout::describe(side, side, format, share::modifier::none, {&plane, 1}, size);
    REQUIRE(layout);
    auto buffer = share::Buffer::create(*memory, 0, *layout);
    REQUIRE(buffer);
    return *buffer;
}

std::unique_ptr<render::Target> make_target(render::Renderer& renderer) {
    auto target = renderer.create_target(side, side);
    REQUIRE(target);
    return std::move(*target);
}

} // namespace

TEST_CASE("every format that a renderer advertises is imported and shows the right pixels") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    auto target = renderer->create_target(render::probe_size, render::probe_size);
    REQUIRE(target);
    auto heap = heaps().find("memfd");
    REQUIRE(heap);
    CHECK(std::ranges::count(renderer->shm_formats(), share::format::argb8888) == 1);
    CHECK(std::ranges::count(renderer->shm_formats(), share::format::xrgb8888) == 1);
    for (const auto format : renderer->shm_formats()) {
        const auto shown =
            render::probe_format(*renderer, **target, **heap, format, share::modifier::linear, false);
        INFO(share::fourcc_text(format) << (shown ? "" : ": " + shown.error().text()));
        CHECK(shown.ok());
    }
    if (!renderer->accepts_memfd_as_dmabuf()) SKIP("no dma-buf heap for a hardware renderer");
    CHECK_FALSE(renderer->dmabuf_formats().empty());
    for (const auto& pair : renderer->dmabuf_formats()) {
        const auto shown =
            render::probe_format(*renderer, **target, **heap, pair.format, pair.modifier, true);
        INFO(share::fourcc_text(pair.format)
             << " " << share::modifier_text(pair.modifier) << (shown ? "" : ": " + shown.error().text()));
        CHECK(shown.ok());
    }
}

TEST_CASE("what the client writes after the import is in the next picture, without a new import or copy") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    const auto target = make_target(*renderer);
    const auto buffer = make_buffer(side, side, share::format::xrgb8888);
    write(*buffer, noise(side, side, 1));
    const auto content = import(*renderer, buffer);
    auto item = item_of(content, {0, 0, side, side});
    draw(*renderer, *target, {item});
    const auto fresh = noise(side, side, 2);
    write(*buffer, fresh);
    REQUIRE(renderer->refresh(*content, scene::Region(item.dest)));
    const auto drawn = draw(*renderer, *target, {item});
    if (renderer->accepts_memfd_as_dmabuf()) CHECK(drawn.steps.size() == 1);
    auto shown = picture(*renderer, *target);
    CHECK(std::ranges::equal(shown, fresh, [](auto a, auto b) { return a == (b & 0xffffff); }));
}

TEST_CASE("a file that is truncated after the import is lost, the old pixels stay and the process lives") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    const auto target = make_target(*renderer);
    share::UniqueFd file;
    const auto buffer = shrinkable_buffer(0, side * 4, share::format::xrgb8888, file);
    write(*buffer, noise(side, side, 3));
    const auto content = import(*renderer, buffer);
    auto item = item_of(content, {0, 0, side, side});
    draw(*renderer, *target, {item});
    const auto before = picture(*renderer, *target);
    REQUIRE(ftruncate(file.get(), 0) == 0);
    const auto refreshed = renderer->refresh(*content, scene::Region(item.dest));
    REQUIRE_FALSE(refreshed);
    CHECK(refreshed.error().code == share::Code::corrupt);
    const auto drawn = draw(*renderer, *target, {item});
    CHECK(drawn.lost == std::vector{content});
    CHECK(picture(*renderer, *target) == before);
}

TEST_CASE("rows at any offset and stride are shown right, and a copy that this needs is told") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    const auto target = make_target(*renderer);
    const std::uint64_t offset = GENERATE(0, 2, 6);
    const std::uint32_t stride = GENERATE(side * 2, side * 2 + 2, side * 2 + 10);
    share::UniqueFd file;
    const auto buffer = shrinkable_buffer(offset, stride, share::format::rgb565, file);
    {
        auto mapping = buffer->map(share::Access::write, share::Deadline::in(1s));
        REQUIRE(mapping);
        for (std::uint32_t y = 0; y < side; ++y)
            for (std::uint32_t x = 0; x < side; ++x) {
                const std::uint16_t pixel = y < 20 ? 0xf800 : x < 30 ? 0x07e0 : 0x001f;
                std::memcpy(mapping->row(0, y).data() + x * 2, &pixel, 2);
            }
    }
    auto content = renderer->import(buffer, false);
    REQUIRE(content);
    REQUIRE(renderer->refresh(**content, scene::Region(scene::Rect{0, 0, side, side})));
    CHECK_FALSE((*content)->has_copy());
    const auto drawn = draw(*renderer, *target, {item_of(*content, {0, 0, side, side})});
    std::uint64_t copied = 0;
    for (const auto& step : drawn.steps)
        if (step.stage == "import") copied += step.bytes_copied.value_or(0);
    const bool copies = renderer->name() == "gl" || offset % 4 != 0 || stride % 4 != 0;
    CHECK(copied == (copies ? std::uint64_t{side} * side * 2 : 0));
    CHECK((*content)->has_copy() == copies);
    const auto shown = picture(*renderer, *target);
    CHECK(shown[5 * side + 5] == 0xff0000);
    CHECK(shown[40 * side + 29] == 0x00ff00);
    CHECK(shown[47 * side + 47] == 0x0000ff);
}

TEST_CASE("only the damage of a copied buffer is copied again") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    share::UniqueFd file;
    const auto buffer = shrinkable_buffer(2, side * 4 + 2, share::format::xrgb8888, file);
    const auto target = make_target(*renderer);
    const auto content = import(*renderer, buffer);
    const auto item = item_of(content, {0, 0, side, side});
    draw(*renderer, *target, {item});
    // Two commits before a frame: their damage is copied once, when it is drawn.
    REQUIRE(renderer->refresh(*content, scene::Region(scene::Rect{0, 7, side, 5})));
    REQUIRE(renderer->refresh(*content, scene::Region(scene::Rect{0, 9, side, 4})));
    const auto drawn = draw(*renderer, *target, {item});
    REQUIRE(drawn.steps.size() == 2);
    CHECK(drawn.steps[0].stage == "import");
    CHECK(drawn.steps[0].bytes_copied == side * 6 * 4);
    CHECK(draw(*renderer, *target, {item}).steps.size() == 1);
}

TEST_CASE("a buffer that somebody writes keeps its old pixels and is named to be drawn again") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    const auto target = make_target(*renderer);
    const auto buffer = make_buffer(side, side, share::format::xrgb8888);
    write(*buffer, noise(side, side, 4));
    const auto content = import(*renderer, buffer);
    const auto item = item_of(content, {0, 0, side, side});
    const auto before = picture(*renderer, *target);
    {
        const auto writing = buffer->map(share::Access::write, share::Deadline::in(1s));
        REQUIRE(writing);
        const auto drawn = draw(*renderer, *target, {item});
        CHECK(drawn.undrawn == item.clip);
        CHECK(drawn.lost.empty());
        CHECK(picture(*renderer, *target) == before);
    }
    CHECK(draw(*renderer, *target, {item}).undrawn.empty());
    CHECK(picture(*renderer, *target) != before);
}

TEST_CASE("a dma-buf that EGL refuses is uploaded, and the ledger says why and how much") {
    const auto renderer = make_renderer("gl");
    const auto target = make_target(*renderer);
    share::UniqueFd file;
    const auto buffer = shrinkable_buffer(0, side * 4, share::format::xrgb8888, file);
    const auto pixels = noise(side, side, 5);
    write(*buffer, pixels);
    const auto content = import(*renderer, buffer, true);
    CHECK(content->import_step().mechanism == share::Mechanism::texture);
    CHECK(content->import_step().reason.find("uploaded: ") == 0);
    const auto drawn = draw(*renderer, *target, {item_of(content, {0, 0, side, side})});
    REQUIRE(drawn.steps.size() == 2);
    CHECK(drawn.steps[0].mechanism == share::Mechanism::texture);
    CHECK(drawn.steps[0].bytes_copied == side * side * 4);
    CHECK(drawn.steps[0].reason == content->import_step().reason);
    const auto shown = picture(*renderer, *target);
    CHECK(std::ranges::equal(shown, pixels, [](auto a, auto b) { return a == (b & 0xffffff); }));
}

TEST_CASE("a part far inside a huge scaled rectangle is drawn") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    const auto target = make_target(*renderer);
    const auto buffer = make_buffer(side, side, share::format::xrgb8888);
    write(*buffer, Pixels(std::size_t{side} * side, 0x00336699));
    auto item = item_of(import(*renderer, buffer), {-500'000, -700'000, 1'000'000, 1'000'000});
    item.clip = scene::Region(scene::Rect{0, 0, side, side});
    draw(*renderer, *target, {item});
    CHECK(picture(*renderer, *target) == Pixels(std::size_t{side} * side, 0x00336699));
}

TEST_CASE("a format or a tiling that a renderer cannot read is refused with words") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    const auto buffer = make_buffer(side, side, share::format::p010);
    const auto refused = renderer->import(buffer, true);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("P010") != std::string::npos);
}

TEST_CASE("importing, drawing and dropping leaves no fd behind") {
    const auto renderer = make_renderer(GENERATE("pixman", "gl"));
    const auto target = make_target(*renderer);
    const auto round = [&] {
        const auto content = import(*renderer, make_buffer(side, side, share::format::xrgb8888));
        draw(*renderer, *target, {item_of(content, {0, 0, side, side})});
    };
    round();
    const auto before = count_fds();
    for (int i = 0; i < 10; ++i)
        round();
    CHECK(count_fds() == before);
}
