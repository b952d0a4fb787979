// SPDX-License-Identifier: MIT
// Devices: vivid and vkms. One whole story: the needs of a camera, of a display and of a reader are measured
// or stated, agreed on, allocated once, and the camera's pictures are scanned out of that memory.
#include <algorithm>
#include <variant>

#include <catch2/catch_test_macros.hpp>

#include <share/kms/requirements.hpp>
#include <share/kms/scan_out.hpp>
#include <share/negotiate.hpp>
#include <share/v4l2/requirements.hpp>

#include "kms_support.hpp"
#include "unchanged.hpp"
#include "vivid.hpp"

using namespace share;
using namespace testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t width = 640, height = 480; ///< a size that both have

/// A program that looks at every picture, with vector loads of whole cache lines: rows of 1 KiB.
Requirements reader() {
    Requirements party{.party = "reader"};
    party.cpu_read = Pattern::sequential;
    party.stride_align = 1024;
    FormatChoice xrgb;
    xrgb.pair = {format::xrgb8888, modifier::linear};
    xrgb.state = ProbeState::good;
    party.formats = {xrgb};
    return party;
}

Requirements camera_needs(const HeapTable& heaps) {
    auto party = v4l2::requirements_of(
        vivid(), v4l2::Side::capture, heaps,
        {.party = "camera", .width = width, .height = height, .format = format::xrgb8888});
    must(party);
    return *party;
}

std::vector<std::shared_ptr<Buffer>> buffers_of(const Agreement& agreement, const HeapTable& heaps,
                                                int count) {
    std::vector<std::shared_ptr<Buffer>> buffers;
    for (int i = 0; i < count; ++i) {
        auto got = allocate(agreement, heaps, width, height, "agreed frames");
        must(got);
        auto buffer =
            Buffer::create(got->memory, 0, got->layout,
                           {got->candidate.sharing,
                            got->candidate.sharing_by.empty() ? "the default" : got->candidate.sharing_by});
        must(buffer);
        buffers.push_back(*buffer);
    }
    return buffers;
}

} // namespace

TEST_CASE(
    "camera, display and reader agree by measured needs, and share one allocation with the right pixels",
    "[vm][vivid][kms]") {
    const Unchanged unchanged;
    const auto heaps = all_heaps();
    const auto device = kms_device();
    const auto display = kms::ScanOut::create(device, {.width = width, .height = height});
    must(display);

    auto screen =
        kms::requirements_of(kms_device(), heaps, {.party = "display"}); // another is master: ADDFB2
    must(screen);
    const std::vector<Requirements> parties{camera_needs(heaps), *screen, reader()};
    const auto result = negotiate(parties, offers_of(heaps));
    if (const auto* conflict = std::get_if<Conflict>(&result)) FAIL(describe(*conflict));
    const auto& agreement = std::get<Agreement>(result);
    INFO(describe(agreement));
    for (const auto& party : parties)
        CHECK(satisfies(party, agreement.best()));
    CHECK(agreement.best().pair == FormatModifier{format::xrgb8888, modifier::linear});

    const auto buffers = buffers_of(agreement, heaps, 3);
    const auto& layout = buffers[0]->layout();
    CHECK(layout.plane(0).stride == 3072); // the reader's wish; 2560 by the others

    auto camera = v4l2::Camera::open(vivid(), buffers, {.rate = 60});
    must(camera);
    std::vector<std::shared_ptr<kms::Framebuffer>> framebuffers;
    for (const auto& buffer : buffers) {
        auto framebuffer = kms::Framebuffer::create(device, buffer);
        must(framebuffer);
        framebuffers.push_back(*framebuffer);
    }
    const auto target =
        kms::Framebuffer::create(device, make_buffer(heap_of(heaps, "udmabuf"), width, height));
    must(target);
    for (int i = 0; i < 5; ++i) {
        const auto frame = camera.value()->next(Deadline::in(20s));
        must(frame);
        CAPTURE(i, frame->sequence());
        const auto& framebuffer = framebuffers.at(frame->index());
        REQUIRE(framebuffer->buffer() == frame->buffer());
        if (device->capabilities().writeback)
            must(display.value()->capture(framebuffer, *target, Deadline::in(5s)));
        else
            must(display.value()->show(framebuffer, Deadline::in(5s)));
        const auto seen = picture_of(*frame->buffer()); // the reader
        CHECK(moved(seen, 5) == expected_move(frame->sequence()));
        CHECK(moved(seen, static_cast<int>(height) - 5) == expected_move(frame->sequence()));
        if (!device->capabilities().writeback) continue;
        CHECK(difference_at(picture_of(*(*target)->buffer()), 0, 0, seen).largest ==
              0); // what was scanned out
    }
}

TEST_CASE("measured needs that exclude one another are told: two parties, two needs",
          "[vm][vivid][vim2m][kms]") {
    const Unchanged unchanged;
    const auto heaps = all_heaps();
    const auto told = [&](const Requirements& one, const Requirements& two) {
        const std::vector<Requirements> parties{one, two};
        const auto result = negotiate(parties, offers_of(heaps));
        if (!std::holds_alternative<Conflict>(result)) FAIL(describe(std::get<Agreement>(result)));
        auto conflict = std::get<Conflict>(result);
        UNSCOPED_INFO(describe(conflict));
        CHECK(conflict.others.empty());
        if (conflict.a.party != one.party) std::swap(conflict.a, conflict.b);
        CHECK(conflict.a.party == one.party);
        CHECK(conflict.b.party == two.party);
        return std::pair{conflict.a.need, conflict.b.need};
    };
    const auto camera = camera_needs(heaps);
    const auto screen = kms::requirements_of(kms_device(), heaps, {.party = "display"});
    must(screen);
    auto converter = v4l2::Device::find("vim2m", v4l2::Kind::m2m);
    if (!converter) SKIP("no converter of driver vim2m: " + converter.error().text());
    const auto scaler =
        v4l2::requirements_of(*converter, v4l2::Side::output, heaps,
                              {.party = "scaler", .width = 320, .height = 240, .format = format::rgb565});
    must(scaler);

    // The camera writes 640x480, the scaler was set up for 320x240.
    const auto sizes = told(camera, *scaler);
    CHECK(sizes == std::pair{Need::picture, Need::max_picture});
    // vim2m's rows have no padding, and no wish changes that.
    auto wide = reader();
    wide.formats.clear();
    CHECK(told(*scaler, wide) == std::pair{Need::max_stride, Need::stride});
    // No udmabuf can be made of memory that is sealed against writing, and the display takes nothing else.
    Requirements sealed{.party = "producer"};
    sealed.read_only_to_peers = true;
    CHECK(told(sealed, *screen) == std::pair{Need::read_only, Need::handle});
}
