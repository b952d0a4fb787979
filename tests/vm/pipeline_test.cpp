// SPDX-License-Identifier: MIT
// Devices: vicodec (decoder), vim2m (converter and scaler). Decoder to converter to screen without a CPU
// touch.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "codec.hpp"
#include "display_servers.hpp"
#include "pagemap.hpp"
#include "unchanged.hpp"
#include "window.hpp"

using namespace share;
using namespace share::v4l2;
using namespace testing;

namespace {

using Buffers = std::vector<std::shared_ptr<Buffer>>;
using EventKind = M2m::Event::Kind;
constexpr std::uint32_t width = 320, height = 240; ///< on the screen

/// Files that hold these buffers: the memory's own, and the dma-buf made of it.
std::set<std::uint64_t> inodes_of(const Buffers& buffers) {
    std::set<std::uint64_t> inodes;
    for (const auto& buffer : buffers) {
        const auto handle = buffer->export_dmabuf();
        REQUIRE(handle);
        for (const int fd : {handle->fd(), buffer->memory()->fd()}) {
            const auto inode = inode_of(fd);
            REQUIRE(inode);
            inodes.insert(inode->number);
        }
    }
    return inodes;
}

/// The same picture by the CPU's own scaling and conversion.
Picture by_cpu(int number) {
    return as_vim2m_565(
        scaled_down(painting(640, 480, number), static_cast<int>(width), static_cast<int>(height)));
}

/// How many mappings this process has of these files.
std::size_t mappings_of(const Buffers& buffers) {
    const auto inodes = inodes_of(buffers);
    const auto maps = maps_of(getpid());
    return static_cast<std::size_t>(std::ranges::count_if(maps, [&](const MapEntry& entry) {
        const bool shared = entry.permissions.ends_with('s');
        return shared && inodes.contains(entry.inode) &&
               (entry.path.find("memfd:") != std::string::npos ||
                entry.path.find("dmabuf") != std::string::npos);
    }));
}

/// Compressed pictures in, pictures of libshare's buffers out.
struct Decoder {
    Decoder(const HeapTable& heaps, const std::string& heap, const std::vector<Packet>& stream)
        : device(open_m2m("vicodec", Side::output, code::fwht)) {
        REQUIRE(device->set_format(Side::output, {code::fwht, 640, 480, false}));
        REQUIRE(device->reserve(Side::output, static_cast<std::uint32_t>(stream.size())));
        for (const auto& packet : stream)
            REQUIRE(device->queue(Side::output, packet.buffer, {packet.bytes, 0}));
        REQUIRE(device->start(Side::output));
        const auto change = device->wait(soon());
        if (!change) FAIL(change.error().text());
        REQUIRE(change->kind == EventKind::source_change);
        const auto format = device->set_format(Side::capture, {code::rgb24, 0, 0, false});
        if (!format) FAIL(format.error().text());
        REQUIRE(device->reserve(Side::capture, 3));
        pictures = buffers_for(*device, Side::capture, heaps, heap, 3);
        for (const auto& buffer : pictures)
            REQUIRE(device->queue(Side::capture, buffer));
        REQUIRE(device->start(Side::capture));
        REQUIRE(device->drain());
    }
    /// Null at the end.
    std::shared_ptr<Buffer> next() {
        for (;;) {
            const auto event = device->wait(soon());
            if (!event) FAIL(event.error().text());
            if (event->kind == EventKind::finished) return nullptr;
            if (event->kind == EventKind::buffer && event->side == Side::capture && event->bytes > 0)
                return event->buffer;
        }
    }
    std::unique_ptr<M2m> device;
    Buffers pictures;
};

struct Scaler {
    Scaler(const HeapTable& heaps, const std::string& heap)
        : device(open_m2m("vim2m", Side::output, code::rgb24)) {
        for (const auto& [side, size] : {std::pair{Side::output, StreamSize{code::rgb24, 640, 480}},
                                         {Side::capture, StreamSize{code::rgb565, width, height}}}) {
            REQUIRE(device->set_format(side, {size.code, size.width, size.height, true}));
            REQUIRE(device->reserve(side, 4));
        }
        results = buffers_for(*device, Side::capture, heaps, heap, 3);
    }
    /// Into a buffer that the screen does not show.
    std::shared_ptr<Buffer> scale(const std::shared_ptr<Buffer>& from) {
        for (const auto& to : results) {
            if (!to->attach(Access::write, "a look", Deadline::none())) continue;
            const auto done = device->convert(from, to, soon());
            if (!done) FAIL(done.error().text());
            return done->buffer;
        }
        FAIL("the compositor holds all three results");
        return nullptr;
    }
    std::unique_ptr<M2m> device;
    Buffers results;
};

} // namespace

TEST_CASE(
    "a stream is decoded, converted, scaled and shown by devices alone: no byte of a picture is mapped here",
    "[vm][vicodec][vim2m][screen]") {
    const auto [renderer, heap] = GENERATE(table<std::string, std::string>(
        {{"pixman", "udmabuf"}, {"pixman", "dma-heap:system"}, {"gl", "udmabuf"}}));
    CAPTURE(renderer, heap);
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    constexpr int count = 5;
    integration::Compositor compositor({.renderer = renderer, .width = width, .height = height});
    if (!std::filesystem::exists(compositor.socket()))
        SKIP("share-compositor does not start: " + compositor.process().err());
    {
        const auto stream = encode(heaps, heap, count);
        REQUIRE(stream.size() == count);
        Decoder decoder(heaps, heap, stream);
        Scaler scaler(heaps, heap);
        Window window(compositor.socket());
        int shown = 0;
        while (const auto picture = decoder.next()) {
            CAPTURE(shown);
            const auto small = scaler.scale(picture);
            window.show(small, {"convert", Mechanism::device, By::us, 0, 0, "vicodec decoded, vim2m scaled"});
            const auto screen = compositor.screenshot();
            REQUIRE(screen);
            const auto difference = difference_at(*screen, 0, 0, by_cpu(shown));
            CHECK(difference.average <= codec_average + 0.5); // what the codec changed may be cut another way
            CHECK(difference.largest <= codec_largest + 8);
            // It is this picture of the stream, and not the next.
            CHECK(difference_at(*screen, 0, 0, by_cpu(shown + 1)).largest > 100);
            if (++shown < count) REQUIRE(decoder.device->queue(Side::capture, picture));
        }
        CHECK(shown == count);
        CHECK(mappings_of(decoder.pictures) == 0);
        CHECK(mappings_of(scaler.results) == 0);
        CHECK(window.presenter().path() == (heap == "udmabuf" ? Mechanism::udmabuf : Mechanism::dmabuf));
        const auto& totals = window.ledger().totals();
        CHECK(totals.copied_by_us == 0);
        CHECK(totals.converted == 0);

        REQUIRE(decoder.device->stop(Side::capture));
        // The look that finds nothing does find a mapping, when there is one.
        REQUIRE(decoder.pictures[0]->map(Access::read, soon()).ok());
        CHECK(mappings_of(decoder.pictures) == 1);
    }
    CHECK(compositor.stop() == 0);
}
