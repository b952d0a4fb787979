// SPDX-License-Identifier: MIT
// Fences on real dma-bufs: /dev/udmabuf (and /dev/dma_heap/system) with sw_sync timelines.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <share/accounting.hpp>
#include <share/buffer.hpp>
#include <share/heap.hpp>
#include <share/import.hpp>

#include "os/dmabuf.hpp"
#include "os/sync_file.hpp"
#include "os/sync_helper.hpp"
#include "process.hpp"
#include "sw_sync.hpp"
#include "unchanged.hpp"

using namespace share;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using testing::SwSync;

namespace {

struct Shared {
    std::shared_ptr<Buffer> buffer;
    DmabufHandle dmabuf;
};

const HeapTable heaps = HeapTable::probe(); // its devices stay open

std::shared_ptr<Buffer> plain_buffer(const char* heap = "udmabuf") {
    auto found = heaps.find(heap);
    if (!found) FAIL(found.error().text());
    const auto layout = Layout::linear(64, 32, format::xrgb8888).value();
    auto memory = (*found)->allocate(layout.size(), "fence test");
    REQUIRE(memory);
    return Buffer::create(*memory, 0, layout).value();
}

/// A buffer whose dma-buf is alive.
Shared exported(const char* heap = "udmabuf") {
    auto buffer = plain_buffer(heap);
    auto handle = buffer->export_dmabuf();
    if (!handle) FAIL(handle.error().text());
    return {std::move(buffer), std::move(*handle)};
}

bool polls(int fd, short events) {
    pollfd entry{fd, events, 0};
    return poll(&entry, 1, 0) == 1 && (entry.revents & events) != 0;
}

} // namespace

TEST_CASE("a writer's fence on a dma-buf holds readers and writers back, a reader's only writers") {
    const testing::Unchanged unchanged;
    const auto* heap = GENERATE("udmabuf", "dma-heap:system");
    CAPTURE(heap);
    const auto shared = exported(heap);
    const int fd = shared.dmabuf.fd();
    CHECK(polls(fd, POLLIN));
    CHECK(polls(fd, POLLOUT));

    const SwSync timeline;
    REQUIRE(shared.buffer->add_fence(timeline.fence(1), Access::read));
    CHECK(polls(fd, POLLIN));
    CHECK_FALSE(polls(fd, POLLOUT));
    CHECK(shared.buffer->fence(Access::read).value().fd() == -1);
    CHECK_FALSE(shared.buffer->fence(Access::write).value().signalled().value());
    timeline.signal();
    CHECK(polls(fd, POLLOUT));

    REQUIRE(shared.buffer->add_fence(timeline.fence(2), Access::write));
    CHECK_FALSE(polls(fd, POLLIN));
    CHECK_FALSE(polls(fd, POLLOUT));
    const auto exported_again = shared.buffer->fence(Access::read);
    REQUIRE(exported_again);
    CHECK_FALSE(exported_again->signalled().value());
    CHECK(exported_again->wait(Deadline::none()).error().code == Code::timed_out);
    timeline.signal();
    CHECK(exported_again->signalled().value());
    CHECK(exported_again->wait(Deadline::none()));
    CHECK(polls(fd, POLLIN));
    CHECK(polls(fd, POLLOUT));
    CHECK(shared.buffer->fence(Access::write).value().fd() == -1);
}

TEST_CASE("a reader is held back until the fence signals, and then sees what was written") {
    const testing::Unchanged unchanged;
    const auto shared = exported();
    const SwSync timeline;
    REQUIRE(shared.buffer->add_fence(timeline.fence(), Access::write));
    // The "device": writes by another view of the same pages, then signals.
    std::thread device([&] {
        auto view = shared.buffer->memory()->view(Access::read_write);
        std::this_thread::sleep_for(100ms);
        std::memset(view->data(), 0x5a, view->size());
        timeline.signal();
    });
    auto mapping = shared.buffer->map(Access::read, Deadline::in(20s));
    device.join();
    REQUIRE(mapping);
    CHECK(mapping->row(0, 31)[255] == std::byte{0x5a});
    CHECK(mapping->end());
}

TEST_CASE("a fence that never signals: the bracket gives up at its deadline and says why") {
    const testing::Unchanged unchanged;
    const auto shared = exported();
    const SwSync timeline;
    REQUIRE(shared.buffer->add_fence(timeline.fence(), Access::write));
    for (const Access access : {Access::read, Access::write}) {
        for (const auto& deadline : {Deadline::none(), Deadline::in(30ms)}) {
            auto mapping = shared.buffer->map(access, deadline);
            REQUIRE_FALSE(mapping);
            CHECK(mapping.error().code == Code::timed_out);
            CHECK_THAT(mapping.error().text(), ContainsSubstring("still belongs to"));
        }
    }
    // Nothing is left behind: the fence done, everything works.
    timeline.signal();
    CHECK(shared.buffer->map(Access::write, Deadline::none()));
}

TEST_CASE("a fence that ended with an error says so") {
    const testing::Unchanged unchanged;
    const auto shared = exported();
    Fence fence;
    {
        const SwSync timeline;
        fence = timeline.fence();
        REQUIRE(shared.buffer->add_fence(fence, Access::write));
    } // destroyed unsignalled
    CHECK(fence.signalled().value());
    const auto waited = fence.wait(Deadline::in(1s));
    REQUIRE_FALSE(waited);
    CHECK(waited.error().code == Code::io);
    CHECK(waited.error().os_errno == ENOENT);
}

TEST_CASE("merged fences are done when both are, and one crosses to another process") {
    const testing::Unchanged unchanged;
    const SwSync a, b;
    const auto both = Fence::merge(a.fence(), b.fence()).value();
    CHECK(Fence::merge(Fence(), Fence()).value().fd() == -1);
    a.signal();
    CHECK_FALSE(both.signalled().value());
    auto sent = both.export_sync_file();
    REQUIRE(sent);
    const pid_t child = fork(); // inherits the fd, as SCM_RIGHTS would hand it over
    if (child == 0) {
        auto got = Fence::from_sync_file(UniqueFd(dup(sent->get())));
        _exit(got && got->wait(Deadline::in(20s)) ? 0 : 1);
    }
    b.signal();
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(both.wait(Deadline::none()));
}

TEST_CASE("what is no sync_file is refused as a fence, and what has no dma-buf takes none") {
    const testing::Unchanged unchanged;
    int pipe_fds[2];
    REQUIRE(pipe2(pipe_fds, O_CLOEXEC) == 0);
    UniqueFd reader(pipe_fds[0]), writer(pipe_fds[1]);
    CHECK(Fence::from_sync_file(std::move(reader)).error().code == Code::invalid_argument);
    const auto shared = exported();
    CHECK(Fence::from_sync_file(UniqueFd(dup(shared.dmabuf.fd()))).error().code == Code::invalid_argument);
    CHECK(Fence::from_sync_file(UniqueFd()).error().code == Code::invalid_argument);
    CHECK(Fence().export_sync_file().error().code == Code::invalid_argument);

    const SwSync timeline;
    const auto layout = Layout::linear(8, 8, format::xrgb8888).value();
    auto memory = heaps.find("memfd").value()->allocate(layout.size(), "plain");
    const auto plain = Buffer::create(*memory, 0, layout).value();
    CHECK(plain->fence(Access::write).value().fd() == -1);
    CHECK(plain->add_fence(timeline.fence(), Access::write).error().code == Code::unsupported);
}

TEST_CASE("an imported dma-buf is bracketed by a helper, which alone waits for a fence added too late") {
    const auto shared = exported();
    auto imported = import_fd(UniqueFd(dup(shared.dmabuf.fd())));
    REQUIRE(imported);
    CHECK((*imported)->traits().foreign);
    const auto foreign = Buffer::create(*imported, 0, shared.dmabuf.layout).value();
    REQUIRE(foreign->map(Access::read, Deadline::none())); // the helper is there from now on
    const testing::Unchanged unchanged;
    {
        // As if the fence had come between the look at it and the ioctl.
        const SwSync timeline;
        REQUIRE(shared.buffer->add_fence(timeline.fence(), Access::write));
        const int fd = shared.dmabuf.fd();
        std::vector<Code> codes;
        for (int i = 0; i < 9; ++i)
            codes.push_back(os::sync_begin_guarded(fd, Access::read, Deadline::none()).error().code);
        CHECK(codes == std::vector<Code>{Code::timed_out, Code::timed_out, Code::timed_out, Code::timed_out,
                                         Code::timed_out, Code::timed_out, Code::timed_out, Code::timed_out,
                                         Code::limit});
        timeline.signal();
    }
    // All helpers come back and give up what they hold.
    CHECK(testing::eventually(
        [&] { return bool(os::sync_begin_guarded(shared.dmabuf.fd(), Access::read, Deadline::none())); }));
    CHECK(os::sync_end(shared.dmabuf.fd(), Access::read));
    CHECK(testing::eventually([&] {
        for (int i = 0; i < 20; ++i)
            if (!foreign->map(Access::read_write, Deadline::none())) return false;
        return true;
    }));
}

TEST_CASE("a peer that adds fences all the time cannot stop a mapping for good") {
    const testing::Unchanged unchanged;
    const auto shared = exported();
    auto imported = import_fd(UniqueFd(dup(shared.dmabuf.fd())));
    REQUIRE(imported);
    const auto foreign = Buffer::create(*imported, 0, shared.dmabuf.layout).value();
    std::atomic<bool> stop{false};
    std::thread hostile([&] {
        const SwSync timeline;
        for (std::uint32_t point = 1; !stop; ++point) {
            (void)shared.buffer->add_fence(timeline.fence(point), Access::write);
            std::this_thread::sleep_for(200us);
            timeline.signal();
        }
    });
    int mapped = 0, refused = 0;
    for (int i = 0; i < 300; ++i) {
        auto mapping = foreign->map(Access::read, Deadline::in(5ms));
        if (mapping)
            ++mapped;
        else if (mapping.error().code == Code::timed_out || mapping.error().code == Code::limit)
            ++refused;
    }
    stop = true;
    hostile.join();
    CHECK(mapped + refused == 300); // each came back, and with an answer of ours
    CHECK(mapped > 0);
    CHECK(testing::eventually([&] { return bool(foreign->map(Access::write, Deadline::in(1s))); }));
}

TEST_CASE("/dev/udmabuf: what a device works on stays pinned until its fence has signalled") {
    const testing::Unchanged unchanged;
    const auto before = memory_usage();
    const SwSync timeline;
    set_pin_grace(0ms);
    {
        const auto buffer = plain_buffer(), other = plain_buffer();
        const auto bytes = buffer->layout().size();
        std::uint64_t inode = 0;
        {
            auto device = buffer->attach_device(Access::write, "device", Deadline::in(20s));
            REQUIRE(device);
            inode = inode_of(device->dmabuf()->fd()).value().number;
            REQUIRE(buffer->add_fence(timeline.fence(1), Access::write));
        }
        CHECK(trim_pins() == 0);
        auto early = buffer->map(Access::write, Deadline::none());
        REQUIRE_FALSE(early);
        CHECK(early.error().code == Code::timed_out);
        CHECK_FALSE(buffer->fence(Access::write).value().signalled().value());
        set_memory_limits({.pinned_bytes = before.pinned_bytes + bytes});
        CHECK(other->attach_device(Access::read, "another", Deadline::none()).error().code == Code::limit);
        set_memory_limits({});
        CHECK_FALSE(testing::eventually([&] { return !buffer->pinned(); }, 200ms)); // the reaper looks, too
        {
            auto again = buffer->attach_device(Access::write, "device", Deadline::in(20s));
            REQUIRE(again);
            CHECK(inode_of(again->dmabuf()->fd()).value().number == inode);
        }
        timeline.signal();
        CHECK(buffer->map(Access::write, Deadline::none()));
        CHECK(testing::eventually([&] { return !buffer->pinned(); }));
        CHECK(memory_usage().pinned_bytes == before.pinned_bytes);
    }
    {
        auto buffer = plain_buffer();
        auto device = buffer->attach_device(Access::write, "device", Deadline::in(20s));
        REQUIRE(device);
        REQUIRE(buffer->add_fence(timeline.fence(2), Access::write));
        device->release();
        REQUIRE(buffer->pinned());
        buffer.reset(); // nobody can map it any more: nothing waits for this fence
        CHECK(memory_usage() == before);
        timeline.signal();
    }
    set_pin_grace(100ms);
    CHECK(memory_usage() == before);
}
