// SPDX-License-Identifier: MIT
// Device: vivid. Its frames on share-compositor's screen, in the very buffers that the driver wrote.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <algorithm>
#include <filesystem>

#include "display_servers.hpp"
#include "open_files.hpp"
#include "unchanged.hpp"
#include "vivid.hpp"
#include "window.hpp"

using namespace share;
using namespace share::v4l2;
using namespace testing;
using namespace std::chrono_literals;

namespace {

struct Path {
    FrameMemory memory;
    std::string heap;
    Mechanism mechanism;
    std::string renderer;
};

const std::vector<Path> paths{{FrameMemory::ours, "udmabuf", Mechanism::udmabuf, "pixman"},
                              {FrameMemory::ours, "dma-heap:system", Mechanism::dmabuf, "pixman"},
                              {FrameMemory::drivers, "", Mechanism::dmabuf, "pixman"},
                              {FrameMemory::ours, "udmabuf", Mechanism::udmabuf, "gl"},
                              {FrameMemory::drivers, "", Mechanism::dmabuf, "gl"}};

} // namespace

TEST_CASE(
    "vivid's frames reach share-compositor's screen uncopied, each with the picture of its sequence number",
    "[vm][vivid][screen]") {
    const auto path = GENERATE(from_range(paths));
    CAPTURE(path.heap, path.renderer);
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    integration::Compositor compositor({.renderer = path.renderer,
                                        .width = static_cast<int>(vivid_width),
                                        .height = static_cast<int>(vivid_height)});
    if (!std::filesystem::exists(compositor.socket()))
        SKIP("share-compositor does not start: " + compositor.process().err());
    {
        auto options = vivid_options();
        options.memory = path.memory;
        options.heap = path.heap;
        const auto camera = vivid_camera(heaps, options);
        Window window(compositor.socket());
        std::uint32_t last = 0;
        for (int i = 0; i < 8; ++i) {
            const auto frame = camera->next(Deadline::in(20s));
            if (!frame) FAIL(frame.error().text());
            CAPTURE(i, frame->sequence());
            window.show(frame->buffer(), frame->step());
            const auto screen = compositor.screenshot();
            REQUIRE(screen);
            CHECK(moved(*screen, 5) == expected_move(frame->sequence()));
            CHECK(moved(*screen, static_cast<int>(vivid_height) - 5) == expected_move(frame->sequence()));
            CHECK(difference_at(*screen, 0, 0, picture_of(*frame->buffer())).largest == 0);
            CHECK((i == 0 || frame->sequence() > last));
            last = frame->sequence();
        }
        CHECK(window.presenter().path() == path.mechanism);
        CHECK(window.presenter().known() == camera->buffers().size());

        // The driver's dma-buf and the compositor's are one.
        const auto theirs = open_dmabufs(compositor.process().pid());
        for (const auto& buffer : camera->buffers()) {
            const auto handle = buffer->export_dmabuf();
            REQUIRE(handle);
            const auto inode = inode_of(handle->fd());
            REQUIRE(inode);
            CHECK(std::ranges::find(theirs, inode->number) != theirs.end());
        }

        const auto& totals = window.ledger().totals();
        CHECK(totals.frames == 8);
        CHECK(totals.copied_by_us == 0);
        CHECK(totals.converted == 0);
        CHECK(totals.frames_by_mechanism.at("device") == 8);
        const auto& steps = window.ledger().frames().back().steps;
        REQUIRE(steps.size() == 3);
        CHECK(steps[0].stage == "capture");
        CHECK(steps[0].reason.find("vivid wrote frame " + std::to_string(last)) == 0);
    }
    CHECK(compositor.stop() == 0);
}

TEST_CASE("a camera goes on while the compositor holds a frame, and never writes what is on the screen",
          "[vm][vivid][screen]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    integration::Compositor compositor(
        {.width = static_cast<int>(vivid_width), .height = static_cast<int>(vivid_height)});
    REQUIRE(std::filesystem::exists(compositor.socket()));
    {
        const auto camera = vivid_camera(heaps, vivid_options());
        Window window(compositor.socket());
        std::shared_ptr<Buffer> shown;
        std::uint32_t sequence = 0;
        {
            const auto frame = camera->next(Deadline::in(20s));
            REQUIRE(frame);
            shown = frame->buffer();
            sequence = frame->sequence();
            window.show(shown, frame->step());
        } // given back; the compositor's hold remains
        for (int i = 0; i < 12; ++i) {
            const auto frame = camera->next(Deadline::in(20s));
            REQUIRE(frame);
            CHECK(frame->buffer() != shown);
        }
        const auto screen = compositor.screenshot();
        REQUIRE(screen);
        CHECK(moved(*screen, 5) == expected_move(sequence));
        CHECK(moved(picture_of(*shown), 5) == expected_move(sequence));
    }
    CHECK(compositor.stop() == 0);
}
