// SPDX-License-Identifier: MIT
// Device: vivid (a virtual camera). What it captures into shared Buffers, and what goes wrong with it.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <algorithm>

#include "process.hpp"
#include "sw_sync.hpp"
#include "unchanged.hpp"
#include "vivid.hpp"

using namespace share;
using namespace share::v4l2;
using namespace testing;
using namespace std::chrono_literals;

namespace {

Deadline soon() {
    return Deadline::in(20s);
}

const HeapTable& heaps() {
    static const HeapTable table = HeapTable::probe();
    return table;
}

struct Way {
    FrameMemory memory;
    std::string heap, named, exporter;
};

CameraOptions options_of(const Way& way) {
    auto options = vivid_options();
    options.memory = way.memory;
    options.heap = way.heap;
    return options;
}

const std::vector<Way> ways{{FrameMemory::automatic, "", "udmabuf", "udmabuf"},
                            {FrameMemory::ours, "dma-heap:system", "dma-heap:system", "system"},
                            {FrameMemory::drivers, "", "driver", ""}};

Frame next(Camera& camera) {
    auto frame = camera.next(soon());
    if (!frame) FAIL(frame.error().text());
    return *std::move(frame);
}

} // namespace

TEST_CASE("vivid's frames are in shared buffers, and the moved bars are those of the sequence number",
          "[vm][vivid]") {
    const auto way = GENERATE(from_range(ways));
    CAPTURE(way.named);
    heaps();
    const Unchanged unchanged;
    const auto camera = vivid_camera(heaps(), options_of(way));
    for (const auto& note : camera->notes())
        UNSCOPED_INFO(note.about << ": " << note.text);
    CHECK(camera->memory() == way.named);
    CHECK(camera->buffers().size() == 4);
    CHECK(camera->layout().width() == vivid_width);
    CHECK(camera->layout().height() == vivid_height);
    CHECK(camera->queued() == 4);
    std::uint32_t first = 0, last = 0;
    for (int i = 0; i < 12; ++i) {
        const auto frame = next(*camera);
        CAPTURE(i, frame.sequence());
        CHECK_FALSE(frame.corrupt());
        CHECK(camera->queued() == 3);
        const auto picture = picture_of(*frame.buffer());
        CHECK(moved(picture, 10) == expected_move(frame.sequence()));
        CHECK(moved(picture, vivid_height - 10) == expected_move(frame.sequence()));
        if (i > 0) CHECK(frame.sequence() == last + 1 + frame.lost_before());
        if (i == 0) first = frame.sequence();
        last = frame.sequence();
    }
    CHECK(camera->totals().frames == 12);
    CHECK(camera->totals().lost == last - first + 1 - 12);
    if (!way.exporter.empty())
        CHECK(std::ranges::count(all_dmabufs(), way.exporter, &DmabufInfo::exporter) == 4);
}

TEST_CASE("whatever raw format vivid offers, its answer is accepted and its frames are whole",
          "[vm][vivid]") {
    const Unchanged unchanged;
    std::vector<Fourcc> formats;
    {
        const auto device = vivid();
        const auto codes = device.codes(Side::capture);
        REQUIRE(codes);
        for (const auto& info : *codes)
            if (const auto* const pair = find_pair(info.code)) formats.push_back(pair->format);
    }
    CHECK(formats.size() >= 20);
    for (const auto wanted : formats) {
        CAPTURE(fourcc_text(wanted));
        auto options = vivid_options();
        options.formats = {wanted};
        options.width = 320;
        options.height = 180;
        options.buffers = 2;
        const auto camera = Camera::open(vivid(), heaps(), options);
        if (!camera) FAIL_CHECK(camera.error().text());
        if (!camera) continue;
        CHECK((*camera)->layout().format() == wanted);
        CHECK((*camera)->layout().width() == 320);
        const auto frame = (*camera)->next(soon());
        if (wanted == format::yuyv && (*camera)->info().multiplanar) {
            // There vivid leaves a gap before the pixels, which no layout that was agreed on can tell.
            REQUIRE_FALSE(frame);
            CHECK(frame.error().detail == "its pixels begin 128 bytes late in the buffer");
            continue;
        }
        if (!frame) FAIL_CHECK(frame.error().text());
        CHECK((frame && !frame->corrupt()));
    }
}

TEST_CASE(
    "a buffer that the camera has is nobody else's, and one that a consumer reads is not given to the camera",
    "[vm][vivid]") {
    const auto way = GENERATE(from_range(ways));
    CAPTURE(way.named);
    const Unchanged unchanged;
    const auto camera = vivid_camera(heaps(), options_of(way));
    for (const auto& buffer : camera->buffers()) {
        const auto read = buffer->map(Access::read, Deadline::none());
        REQUIRE_FALSE(read);
        CHECK(read.error().code == Code::busy);
        CHECK(read.error().text().find("the camera vivid") != std::string::npos);
    }
    std::shared_ptr<Buffer> buffer;
    Attachment consumer;
    {
        const auto frame = next(*camera);
        buffer = frame.buffer();
        CHECK_FALSE(buffer->map(Access::write, Deadline::none()).ok());
        auto attached = buffer->attach(Access::read, "a consumer", Deadline::none());
        REQUIRE(attached);
        consumer = *std::move(attached);
    }
    CHECK(camera->queued() == 3);
    const auto seen = picture_of(*buffer);
    for (int i = 0; i < 6; ++i)
        CHECK(next(*camera).buffer() != buffer);
    CHECK(moved(picture_of(*buffer), 10) == moved(seen, 10)); // nobody wrote it
    consumer.release();
    bool came_back = false;
    for (int i = 0; i < 12 && !came_back; ++i)
        came_back = next(*camera).buffer() == buffer;
    CHECK(came_back);
}

TEST_CASE("a buffer that another device still reads is not given to the camera before that fence is done",
          "[vm][vivid]") {
    const auto way = GENERATE(from_range(ways));
    CAPTURE(way.named);
    const Unchanged unchanged;
    const auto camera = vivid_camera(heaps(), options_of(way));
    const SwSync device;
    std::shared_ptr<Buffer> buffer;
    {
        const auto frame = next(*camera);
        buffer = frame.buffer();
        if (auto added = buffer->add_fence(device.fence(), Access::read); !added) FAIL(added.error().text());
    }
    CHECK(camera->queued() == 3);
    for (int i = 0; i < 6; ++i)
        CHECK(next(*camera).buffer() != buffer);
    device.signal();
    bool came_back = false;
    for (int i = 0; i < 12 && !came_back; ++i)
        came_back = next(*camera).buffer() == buffer;
    CHECK(came_back);
}

TEST_CASE("when every buffer is lent the next frame is refused as busy, not waited for", "[vm][vivid]") {
    const Unchanged unchanged;
    const auto camera = vivid_camera(heaps(), vivid_options());
    std::vector<Frame> frames;
    for (int i = 0; i < 4; ++i)
        frames.push_back(next(*camera));
    const auto more = camera->next(soon());
    REQUIRE_FALSE(more);
    CHECK(more.error().code == Code::busy);
    CHECK(more.error().detail.find("give a Frame back") != std::string::npos);
    // Consumers that hold on although the frames went: busy too, at the deadline, with who it is.
    std::vector<Attachment> consumers;
    for (const auto& buffer : camera->buffers())
        consumers.push_back(*buffer->attach(Access::read, "a slow consumer", Deadline::none()));
    frames.clear();
    const auto held = camera->next(Deadline::in(50ms));
    REQUIRE_FALSE(held);
    CHECK(held.error().code == Code::busy);
    CHECK(held.error().detail.find("a slow consumer") != std::string::npos);
    consumers.clear();
    CHECK(camera->next(soon()).ok());
    CHECK(camera->totals().lost > 0); // what the device counted meanwhile
}

TEST_CASE("frames that never came are counted by the gaps of the sequence", "[vm][vivid]") {
    const Unchanged unchanged;
    const auto camera = vivid_camera(heaps(), vivid_options());
    REQUIRE(camera->device().set_control("Percentage of Dropped Buffers", 60));
    std::uint32_t last = next(*camera).sequence();
    std::uint64_t gaps = 0;
    for (int i = 0; i < 8; ++i) {
        const auto frame = next(*camera);
        CHECK(frame.lost_before() == frame.sequence() - last - 1);
        CHECK(moved(picture_of(*frame.buffer()), 10) == expected_move(frame.sequence()));
        gaps += frame.lost_before();
        last = frame.sequence();
    }
    REQUIRE(camera->device().set_control("Percentage of Dropped Buffers", 0));
    CHECK(camera->totals().lost == gaps);
    CHECK(gaps > 0); // 60 % lost of some twenty: all kept is one in a hundred million
}

TEST_CASE("a frame that the driver calls damaged is told from good ones", "[vm][vivid]") {
    const Unchanged unchanged;
    const auto camera = vivid_camera(heaps(), vivid_options());
    CHECK_FALSE(next(*camera).corrupt());
    REQUIRE(camera->device().set_control("Inject V4L2_BUF_FLAG_ERROR", 1));
    int corrupt = 0;
    for (int i = 0; i < 8; ++i)
        corrupt += next(*camera).corrupt() ? 1 : 0;
    CHECK(corrupt == 1);
    CHECK(camera->totals().corrupt == 1);
}

TEST_CASE("a driver that refuses our memory gets asked for its own, and the reason is kept", "[vm][vivid]") {
    const Unchanged unchanged;
    SECTION("the refusal of one heap leads to the next") {
        auto device = vivid();
        REQUIRE(device.set_control("Inject VIDIOC_QBUF Error", 1));
        const auto camera = Camera::open(std::move(device), heaps(), vivid_options());
        if (!camera) FAIL(camera.error().text());
        CHECK((*camera)->memory() == "dma-heap:system");
        REQUIRE((*camera)->notes().size() == 1);
        CHECK((*camera)->notes()[0].about == "udmabuf");
        CHECK((*camera)->notes()[0].text.find("queueing buffer 0 on the capture queue of vivid") !=
              std::string::npos);
        CHECK(moved(picture_of(*next(**camera).buffer()), 10));
    }
    SECTION("a caller that insists on one heap is told what else there is") {
        auto device = vivid();
        REQUIRE(device.set_control("Inject VIDIOC_QBUF Error", 1));
        auto options = vivid_options();
        options.memory = FrameMemory::ours;
        options.heap = "udmabuf";
        const auto camera = Camera::open(std::move(device), heaps(), options);
        REQUIRE_FALSE(camera);
        CHECK(camera.error().code == Code::unsupported);
        CHECK(camera.error().text().find("udmabuf not taken") != std::string::npos);
        CHECK(camera.error().text().find("contiguous memory") != std::string::npos);
    }
    SECTION("no heap at all: the driver's own") {
        auto options = vivid_options();
        const auto camera = Camera::open(vivid(), HeapTable(), options);
        if (!camera) FAIL(camera.error().text());
        CHECK((*camera)->memory() == "driver");
        CHECK((*camera)->notes().size() == 1);
    }
}

TEST_CASE(
    "a stream that the driver will not start is an error with the driver's name, and can be tried again",
    "[vm][vivid]") {
    const Unchanged unchanged;
    const auto camera = vivid_camera(heaps(), vivid_options());
    REQUIRE(camera->device().set_control("Inject VIDIOC_STREAMON Error", 1));
    const auto refused = camera->start();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("starting the capture queue of vivid") != std::string::npos);
    REQUIRE(camera->stop());
    CHECK(camera->queued() == 0);
    CHECK(moved(picture_of(*next(*camera).buffer()), 10));
}

TEST_CASE("stopped and started again the stream counts anew, and lent frames stay as they were",
          "[vm][vivid]") {
    const auto way = GENERATE(from_range(ways));
    CAPTURE(way.named);
    const Unchanged unchanged;
    auto camera = vivid_camera(heaps(), options_of(way));
    auto kept = next(*camera);
    const auto before = moved(picture_of(*kept.buffer()), 10);
    REQUIRE(camera->stop());
    CHECK(camera->queued() == 0);
    REQUIRE(camera->start());
    CHECK(camera->queued() == 3);
    for (int i = 0; i < 4; ++i) {
        const auto frame = next(*camera);
        CHECK(moved(picture_of(*frame.buffer()), 10) == expected_move(frame.sequence()));
    }
    CHECK(moved(picture_of(*kept.buffer()), 10) == before);
    camera.reset();
    CHECK(moved(picture_of(*kept.buffer()), 10) == before);
    // The queue is free although a frame of it is out.
    CHECK(vivid_camera(heaps(), options_of(way))->start().ok());
}

TEST_CASE("a second program on the same camera is told that another streams", "[vm][vivid]") {
    const Unchanged unchanged;
    const auto camera = vivid_camera(heaps(), vivid_options());
    REQUIRE(camera->start());
    const auto second = Camera::open(*Device::open(camera->info().path), heaps(), vivid_options());
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Code::busy);
    CHECK(second.error().text().find(camera->info().path) != std::string::npos);
}

TEST_CASE("a camera that is unplugged is an error that says so, and its last frame stays", "[vm][vivid]") {
    const Unchanged unchanged;
    {
        const auto camera = vivid_camera(heaps(), vivid_options());
        const auto kept = next(*camera);
        const auto before = moved(picture_of(*kept.buffer()), 10);
        REQUIRE(camera->device().set_control("Disconnect", 1));
        auto frame = camera->next(soon());
        while (frame)
            frame = camera->next(soon()); // what was filled before
        CHECK(frame.error().code == Code::disconnected);
        CHECK(frame.error().text().find("unplugged") != std::string::npos);
        CHECK(moved(picture_of(*kept.buffer()), 10) == before);
        CHECK_FALSE(camera->stop().ok());
        CHECK(camera->queued() == 0);
    }
    // vivid plugs itself in again when the last one closes it.
    CHECK(moved(picture_of(*next(*vivid_camera(heaps(), vivid_options())).buffer()), 10));
}

TEST_CASE("what is no camera, or has not the format, is refused with what it has", "[vm][vivid]") {
    const Unchanged unchanged;
    auto options = vivid_options();
    options.formats = {format::xbgr2101010}; // that V4L2 has no letters for
    const auto none = Camera::open(vivid(), heaps(), options);
    REQUIRE_FALSE(none);
    CHECK(none.error().text().find("it offers none of: XB30") != std::string::npos);
    auto output = Device::find("vivid", Kind::output);
    REQUIRE(output);
    const auto wrong = Camera::open(*std::move(output), heaps(), vivid_options());
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == Code::unsupported);
    CHECK(wrong.error().text().find("captures no video") != std::string::npos);
}
