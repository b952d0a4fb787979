// SPDX-License-Identifier: MIT
// Devices: vim2m (converter and scaler), vicodec (stateful FWHT encoder and decoder). Shared buffers on both
// sides of each; what the CPU makes of the same picture is the reference.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include "codec.hpp"
#include "process.hpp"
#include "sw_sync.hpp"
#include "unchanged.hpp"

using namespace share;
using namespace share::v4l2;
using namespace testing;
using namespace std::chrono_literals;

namespace {

using EventKind = M2m::Event::Kind;

std::unique_ptr<M2m> converter(const StreamSize& from, const StreamSize& to) {
    auto m2m = open_m2m("vim2m", Side::output, from.code);
    for (const auto& [side, size] : {std::pair{Side::output, from}, {Side::capture, to}}) {
        const auto set = m2m->set_format(side, {size.code, size.width, size.height, true});
        if (!set) FAIL(set.error().text());
        const auto places = m2m->reserve(side, 2);
        if (!places) FAIL(places.error().text());
        CHECK(*places == 2);
    }
    return m2m;
}

} // namespace

TEST_CASE("vim2m converts and scales from one shared buffer into another, as the CPU would", "[vm][vim2m]") {
    const std::string heap = GENERATE("udmabuf", "dma-heap:system");
    const StreamSize to = GENERATE(StreamSize{code::rgb565, 320, 240}, StreamSize{code::bgr24, 640, 480},
                                   StreamSize{code::bgr24, 320, 240});
    CAPTURE(heap, fourcc_text(to.code), to.width);
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    const auto m2m = converter({code::rgb24, 640, 480}, to);
    const auto from_buffer = buffers_for(*m2m, Side::output, heaps, heap, 1)[0];
    const auto to_buffer = buffers_for(*m2m, Side::capture, heaps, heap, 1)[0];
    const auto picture = painting(640, 480, 3);
    write_picture(*from_buffer, picture);
    const auto done = m2m->convert(from_buffer, to_buffer, soon());
    if (!done) FAIL(done.error().text());
    CHECK(done->buffer == to_buffer);
    CHECK_FALSE(done->corrupt);
    CHECK(m2m->queued(Side::output) == 0);
    CHECK(m2m->queued(Side::capture) == 0);
    auto expected = scaled_down(picture, static_cast<int>(to.width), static_cast<int>(to.height));
    if (to.code == code::rgb565) expected = as_vim2m_565(expected);
    CHECK(difference_at(read_picture(*to_buffer), 0, 0, expected).largest == 0);
    CHECK(difference_at(read_picture(*from_buffer), 0, 0, picture).largest == 0);
}

TEST_CASE("while a converter has the buffers nobody writes its source and nobody sees its result",
          "[vm][vim2m]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    const auto m2m = converter({code::rgb24, 640, 480}, {code::bgr24, 640, 480});
    const auto from = buffers_for(*m2m, Side::output, heaps, "udmabuf", 1)[0];
    const auto to = buffers_for(*m2m, Side::capture, heaps, "udmabuf", 1)[0];
    REQUIRE(m2m->queue(Side::output, from));
    REQUIRE(m2m->queue(Side::capture, to));
    CHECK(from->map(Access::read, Deadline::none()).ok());
    const auto write = from->map(Access::write, Deadline::none());
    REQUIRE_FALSE(write);
    CHECK(write.error().detail.find("the device vim2m") != std::string::npos);
    CHECK_FALSE(to->map(Access::read, Deadline::none()).ok());
    const auto twice = m2m->queue(Side::capture, to);
    REQUIRE_FALSE(twice);
    CHECK(twice.error().code == Code::busy);
    SECTION("waiting for what was never started is refused, not waited for") {
        const auto event = m2m->wait(soon());
        REQUIRE_FALSE(event);
        CHECK(event.error().code == Code::busy);
    }
    SECTION("one started side gives nothing until the deadline") {
        REQUIRE(m2m->start(Side::output));
        const auto event = m2m->wait(Deadline::in(50ms));
        REQUIRE_FALSE(event);
        CHECK(event.error().code == Code::timed_out);
    }
    SECTION("stopping gives everything back") {
        REQUIRE(m2m->stop(Side::output));
        REQUIRE(m2m->stop(Side::capture));
        CHECK(from->map(Access::write, Deadline::none()).ok());
        CHECK(to->map(Access::write, Deadline::none()).ok());
    }
}

TEST_CASE("a converter does not get a buffer that another device still writes or reads", "[vm][vim2m]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    const auto m2m = converter({code::rgb24, 640, 480}, {code::bgr24, 640, 480});
    const auto from = buffers_for(*m2m, Side::output, heaps, "udmabuf", 1)[0];
    const auto to = buffers_for(*m2m, Side::capture, heaps, "udmabuf", 1)[0];
    const auto from_handle = from->export_dmabuf(), to_handle = to->export_dmabuf();
    REQUIRE((from_handle && to_handle));
    const SwSync device;
    REQUIRE(from->add_fence(device.fence(1), Access::read)); // reading beside it is no conflict
    REQUIRE(m2m->queue(Side::output, from));
    REQUIRE(m2m->stop(Side::output));
    REQUIRE(from->add_fence(device.fence(1), Access::write));
    REQUIRE(to->add_fence(device.fence(1), Access::read));
    for (const auto& [side, buffer] : {std::pair{Side::output, from}, {Side::capture, to}}) {
        const auto early = m2m->queue(side, buffer);
        REQUIRE_FALSE(early);
        CHECK(early.error().code == Code::busy);
        CHECK(early.error().detail.find("another device still works on it") == 0);
    }
    device.signal();
    CHECK(m2m->convert(from, to, soon()).ok());
}

TEST_CASE(
    "a converter refuses buffers of another shape, and formats that it has not, before the device sees them",
    "[vm][vim2m]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    const auto m2m = converter({code::rgb24, 640, 480}, {code::rgb565, 320, 240});
    const auto small = buffers_for(*m2m, Side::capture, heaps, "udmabuf", 1)[0];
    const auto wrong = m2m->queue(Side::output, small);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == Code::invalid_argument);
    CHECK(wrong.error().text().find("320x240 RG16") != std::string::npos);
    CHECK(small->map(Access::write, Deadline::none()).ok());
    const auto none = m2m->drain();
    REQUIRE_FALSE(none);
    CHECK(none.error().text().find("a converter needs no draining") != std::string::npos);

    auto busy = m2m->set_format(Side::output, {code::rgb24, 320, 240, true});
    REQUIRE_FALSE(busy);
    CHECK(busy.error().code == Code::busy);
    REQUIRE(m2m->clear(Side::output));
    const auto other = m2m->set_format(Side::output, {fourcc('N', 'V', '1', '2'), 640, 480, true});
    REQUIRE_FALSE(other);
    CHECK(other.error().text().find("it offers: RGBP RGBR RGB3 BGR3") != std::string::npos);
    const auto large = m2m->set_format(Side::output, {code::rgb24, 1920, 1080, true});
    REQUIRE_FALSE(large);
    CHECK(large.error().text().find("the driver makes it 640x480") != std::string::npos);
    CHECK_FALSE(M2m::open(*Device::find("vivid", Kind::capture)).ok());
}

TEST_CASE(
    "vicodec encodes and decodes with shared buffers on all four queues; the drain brings the last picture",
    "[vm][vicodec]") {
    const std::string heap = GENERATE("udmabuf", "dma-heap:system");
    CAPTURE(heap);
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    constexpr int count = 5;
    const auto stream = encode(heaps, heap, count);
    REQUIRE(stream.size() == count);

    const auto decoder = open_m2m("vicodec", Side::output, code::fwht);
    const auto set = decoder->set_format(Side::output, {code::fwht, 640, 480, false});
    if (!set) FAIL(set.error().text());
    CHECK(set->compressed());
    REQUIRE(decoder->reserve(Side::output, count));
    for (std::size_t i = 0; i < stream.size(); ++i) {
        const auto queued = decoder->queue(Side::output, stream[i].buffer, {stream[i].bytes, (i + 1) * 1000});
        if (!queued) FAIL(queued.error().text());
    }
    REQUIRE(decoder->start(Side::output));
    const auto change = decoder->wait(soon());
    if (!change) FAIL(change.error().text());
    REQUIRE(change->kind == EventKind::source_change); // the header told the size
    const auto found = decoder->set_format(Side::capture, {code::rgb24, 0, 0, false});
    if (!found) FAIL(found.error().text());
    CHECK(found->width == 640);
    CHECK(found->height == 480);
    CHECK(decoder->visible() == Rect{0, 0, 640, 480});
    const auto places = decoder->reserve(Side::capture, 3);
    REQUIRE(places);
    for (const auto& buffer : buffers_for(*decoder, Side::capture, heaps, heap, *places))
        REQUIRE(decoder->queue(Side::capture, buffer));
    REQUIRE(decoder->start(Side::capture));
    REQUIRE(decoder->drain());

    int pictures = 0, returned = 0;
    bool last = false, finished = false;
    while (!finished) {
        const auto event = decoder->wait(soon());
        if (!event) FAIL(event.error().text());
        finished = event->kind == EventKind::finished;
        if (event->kind != EventKind::buffer) continue;
        if (event->side == Side::output) {
            ++returned;
            continue;
        }
        CHECK_FALSE(last);
        last = event->last;
        if (event->bytes == 0) continue; // a drain may end with an empty buffer
        CAPTURE(pictures);
        CHECK_FALSE(event->corrupt);
        CHECK(event->timestamp_ns == (static_cast<std::uint64_t>(pictures) + 1) * 1000);
        const auto difference =
            difference_at(read_picture(*event->buffer), 0, 0, painting(640, 480, pictures));
        CHECK(difference.average <= codec_average);
        CHECK(difference.largest <= codec_largest);
        ++pictures;
        if (!last) REQUIRE(decoder->queue(Side::capture, event->buffer));
    }
    CHECK(pictures == count);
    CHECK(returned == count);
    CHECK(last);
}

TEST_CASE("a stream that changes its size in the middle tells so, and goes on after the capture side was set "
          "up anew",
          "[vm][vicodec]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    auto stream = encode(heaps, "udmabuf", 2);
    for (auto& packet : encode(heaps, "udmabuf", 3, 720, 400))
        stream.push_back(std::move(packet));
    REQUIRE(stream.size() == 5);
    const auto decoder = open_m2m("vicodec", Side::output, code::fwht);
    REQUIRE(decoder->set_format(Side::output, {code::fwht, 640, 400, false})); // the smaller of both needs
    REQUIRE(decoder->reserve(Side::output, 5));
    for (const auto& packet : stream)
        REQUIRE(decoder->queue(Side::output, packet.buffer, {packet.bytes, 0}));
    REQUIRE(decoder->start(Side::output));

    int width = 0, height = 0, number = 0, pictures = 0, changes = 0;
    bool awaits_last = false, set_up = false;
    const auto set_up_capture = [&] {
        REQUIRE(decoder->clear(Side::capture));
        const auto format = decoder->set_format(Side::capture, {code::rgb24, 0, 0, false});
        if (!format) FAIL(format.error().text());
        width = static_cast<int>(format->width);
        height = static_cast<int>(format->height);
        number = 0;
        REQUIRE(decoder->reserve(Side::capture, 2));
        for (const auto& buffer : buffers_for(*decoder, Side::capture, heaps, "udmabuf", 2))
            REQUIRE(decoder->queue(Side::capture, buffer));
        REQUIRE(decoder->start(Side::capture));
    };
    while (pictures < 5) {
        const auto event = decoder->wait(soon());
        if (!event) FAIL(event.error().text());
        if (event->kind == EventKind::source_change) {
            ++changes;
            awaits_last = set_up; // pictures of the old size may still come
            if (!set_up) set_up_capture();
            set_up = true;
            continue;
        }
        if (event->side == Side::output) continue;
        if (event->kind == EventKind::buffer && event->bytes > 0) {
            CAPTURE(pictures, number);
            const auto expected = painting(width, height, number++);
            CHECK(difference_at(read_picture(*event->buffer), 0, 0, expected).largest <= codec_largest);
            ++pictures;
        }
        if (awaits_last && (event->last || event->kind == EventKind::finished)) {
            awaits_last = false;
            CHECK(pictures == 2);
            set_up_capture();
        } else if (event->kind == EventKind::buffer && !event->last) {
            REQUIRE(decoder->queue(Side::capture, event->buffer));
        }
    }
    CHECK(changes == 2);
    CHECK(width == 720);
    CHECK(height == 400);
}

TEST_CASE("data that is no stream gives no picture, and the decoder lives", "[vm][vicodec]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    const auto decoder = open_m2m("vicodec", Side::output, code::fwht);
    REQUIRE(decoder->set_format(Side::output, {code::fwht, 640, 480, false}));
    REQUIRE(decoder->reserve(Side::output, 2));
    const auto buffer = buffers_for(*decoder, Side::output, heaps, "udmabuf", 1)[0];
    {
        auto mapping = buffer->map(Access::write, soon());
        REQUIRE(mapping);
        for (auto& byte : mapping->plane(0).first(5000))
            byte = std::byte{0x55};
    }
    CHECK(decoder->queue(Side::output, buffer, {0, 0}).error().code == Code::invalid_argument);
    CHECK(decoder->queue(Side::output, buffer, {1U << 30, 0}).error().code == Code::invalid_argument);
    REQUIRE(decoder->queue(Side::output, buffer, {5000, 0}));
    REQUIRE(decoder->start(Side::output));
    const auto event = decoder->wait(soon());
    if (event) CHECK(event->side == Side::output);
    REQUIRE(decoder->stop(Side::output));
    CHECK(buffer->map(Access::write, Deadline::none()).ok());
}
