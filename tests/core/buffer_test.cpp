// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstring>
#include <thread>

#include <share/buffer.hpp>
#include <share/heap.hpp>

#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<Buffer> make_buffer(Fourcc format = format::xrgb8888, std::uint64_t extra = 0) {
    auto table = HeapTable::probe();
    auto heap = table.find("memfd");
    REQUIRE(heap);
    auto layout = Layout::linear(64, 32, format);
    REQUIRE(layout);
    auto memory = (*heap)->allocate(layout->size() + extra, "test");
    REQUIRE(memory);
    auto buffer = Buffer::create(*memory, extra, *layout);
    REQUIRE(buffer);
    return *buffer;
}

} // namespace

TEST_CASE("what is written through a mapping is read through another, row by row", "[buffer]") {
    auto buffer = make_buffer(format::nv12, 4096);
    {
        auto mapping = buffer->map(Access::write, Deadline::none());
        REQUIRE(mapping);
        for (std::size_t p = 0; p < 2; ++p)
            for (std::uint32_t y = 0; y < buffer->layout().plane_height(p); ++y)
                std::memset(mapping->row(p, y).data(), static_cast<int>(p * 100 + y),
                            mapping->row(p, y).size());
        REQUIRE(mapping->end());
    }
    auto mapping = buffer->map(Access::read, Deadline::none());
    REQUIRE(mapping);
    CHECK(mapping->row(1, 15)[63] == std::byte{115});
    CHECK(mapping->row(0, 31)[0] == std::byte{31});
    CHECK(mapping->plane(0).size() == buffer->layout().plane_bytes(0));
}

TEST_CASE("while an attachment can read, the producer gets no write mapping", "[buffer][ownership]") {
    auto buffer = make_buffer();
    auto attachment = buffer->attach(Access::read, "wl_surface 12", Deadline::none());
    REQUIRE(attachment);
    CHECK(buffer->map(Access::read, Deadline::none()));

    auto refused = buffer->map(Access::write, Deadline::none());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::busy);
    CHECK(refused.error().detail.find("wl_surface 12") != std::string::npos);

    attachment->release();
    CHECK(buffer->map(Access::write, Deadline::none()));
}

TEST_CASE("a write mapping waits until the last attachment goes", "[buffer][ownership]") {
    auto buffer = make_buffer();
    auto first = buffer->attach(Access::read, "a", Deadline::none());
    auto second = buffer->attach(Access::read, "b", Deadline::none());
    REQUIRE((first && second));
    std::atomic<bool> released{false};
    std::thread peer([&] {
        std::this_thread::sleep_for(20ms);
        first->release();
        std::this_thread::sleep_for(20ms);
        released = true;
        second->release();
    });
    auto mapping = buffer->map(Access::write, Deadline::in(10s));
    CHECK(mapping);
    CHECK(released);
    peer.join();
}

TEST_CASE("writers exclude everybody, readers overlap", "[buffer][ownership]") {
    auto buffer = make_buffer();
    {
        auto writer = buffer->map(Access::read_write, Deadline::none());
        REQUIRE(writer);
        CHECK_FALSE(buffer->map(Access::read, Deadline::none()));
        CHECK_FALSE(buffer->map(Access::write, Deadline::none()));
        CHECK_FALSE(buffer->attach(Access::read, "reader", Deadline::none()));
    }
    auto a = buffer->map(Access::read, Deadline::none());
    auto b = buffer->attach(Access::read, "reader", Deadline::none());
    CHECK((a && b));
    CHECK_FALSE(buffer->attach(Access::write, "device", Deadline::none()));
}

TEST_CASE("moving mappings and attachments moves the hold, and ends it once", "[buffer][ownership]") {
    auto buffer = make_buffer();
    auto mapping = buffer->map(Access::write, Deadline::none());
    REQUIRE(mapping);
    Mapping moved = std::move(*mapping);
    CHECK_FALSE(buffer->map(Access::read, Deadline::none()));
    CHECK(moved.end());
    CHECK(moved.end());
    auto attachment = buffer->attach(Access::write, "device", Deadline::none());
    REQUIRE(attachment);
    Attachment other;
    other = std::move(*attachment);
    CHECK_FALSE(buffer->map(Access::read, Deadline::none()));
    other = Attachment();
    CHECK(buffer->map(Access::read, Deadline::none()));
}

TEST_CASE("a deadline saturates: the longest wait is still ahead, a negative one has passed", "[deadline]") {
    CHECK_FALSE(Deadline::in(std::chrono::milliseconds::max()).passed());
    CHECK(Deadline::in(std::chrono::milliseconds::max()).remaining_ms() == 1'000'000'000);
    CHECK(Deadline::in(std::chrono::milliseconds::min()).passed());
    CHECK(Deadline::none().remaining_ms() == 0);
}

TEST_CASE("a buffer that does not fit its memory is refused", "[buffer]") {
    auto buffer = make_buffer();
    const auto& memory = buffer->memory();
    CHECK_FALSE(Buffer::create(memory, 1, buffer->layout()));
    CHECK_FALSE(Buffer::create(memory, UINT64_MAX, buffer->layout()));
    const std::array one{memory};
    auto nv12 = Layout::linear(8, 8, format::nv12);
    REQUIRE(nv12);
    CHECK_FALSE(Buffer::create(one, *nv12));
}

TEST_CASE("planes may lie in memories of their own", "[buffer]") {
    auto y = make_buffer(format::r8);
    auto uv = make_buffer(format::gr88);
    const std::array planes{Plane{0, 64}, Plane{0, 64}};
    const std::array sizes{y->memory()->size(), uv->memory()->size()};
    auto layout = Layout::describe(64, 32, format::nv12, modifier::linear, planes, sizes);
    REQUIRE(layout);
    const std::array memories{y->memory(), uv->memory()};
    auto buffer = Buffer::create(memories, *layout);
    REQUIRE(buffer);
    {
        auto mapping = (*buffer)->map(Access::write, Deadline::none());
        REQUIRE(mapping);
        std::memset(mapping->row(1, 0).data(), 0x5a, 64);
    }
    auto view = uv->memory()->view(Access::read);
    REQUIRE(view);
    CHECK((*view)[63] == std::byte{0x5a});
    CHECK_FALSE((*buffer)->export_memfd());
}

TEST_CASE("a memfd handle names the same file and where the buffer lies in it", "[buffer][handle]") {
    const auto before = testing::count_fds();
    {
        auto buffer = make_buffer(format::xrgb8888, 8192);
        auto handle = buffer->export_memfd();
        REQUIRE(handle);
        CHECK(handle->offset == 8192);
        CHECK(handle->file_size == buffer->memory()->size());
        auto ours = inode_of(buffer->memory()->fd());
        auto theirs = inode_of(handle->fd.get());
        REQUIRE((ours && theirs));
        CHECK(*ours == *theirs);
        CHECK_FALSE(buffer->export_sysv());
        auto dmabuf = buffer->export_dmabuf();
        REQUIRE_FALSE(dmabuf);
        CHECK(dmabuf.error().code == Code::unsupported);
        CHECK_FALSE(buffer->pinned());
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("a mapping handed over keeps readers in and writers out", "[buffer][ownership]") {
    auto buffer = make_buffer();
    auto mapping = buffer->map(Access::write, Deadline::none());
    REQUIRE(mapping);
    auto kept = mapping->hand_over("the consumer's turn");
    REQUIRE(kept);
    CHECK(mapping->end()); // long ended
    CHECK(kept->access() == Access::read);
    auto consumer = buffer->attach(Access::read, "consumer", Deadline::none());
    REQUIRE(consumer);
    kept->release();
    auto refused = buffer->map(Access::write, Deadline::none());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("consumer") != std::string::npos);
    consumer->release();

    auto device = buffer->attach(Access::write, "camera", Deadline::none());
    REQUIRE(device);
    CHECK_FALSE(buffer->attach(Access::read, "kms", Deadline::none()));
    REQUIRE(device->hand_over("camera's turn"));
    CHECK(buffer->attach(Access::read, "kms", Deadline::none()));
    CHECK_FALSE(buffer->map(Access::write, Deadline::none()));
}

TEST_CASE("a mapping of a range shows that range only, and the buffer remembers what was written",
          "[buffer]") {
    auto buffer = make_buffer(); // 64x32, 256 bytes a row
    CHECK_FALSE(buffer->take_written());
    {
        auto rows = buffer->map(Access::write, Deadline::none(), {512, 256});
        REQUIRE(rows);
        CHECK(rows->plane(0).size() == 256);
        CHECK(rows->row(0, 2).data() == rows->plane(0).data());
        CHECK_FALSE(buffer->map(Access::read, Deadline::none(), {0, 256})); // the hold is of the whole
    }
    CHECK(buffer->map(Access::read, Deadline::none(), {0, 256}));
    CHECK(buffer->map(Access::write, Deadline::none(), {1024, 100}));
    CHECK(buffer->take_written() == ByteRange{512, 612});
    CHECK_FALSE(buffer->take_written());
    buffer->attach(Access::write, "camera", Deadline::none()).value().release();
    CHECK(buffer->take_written() == ByteRange{0, buffer->layout().size()});
    for (const ByteRange bad : {ByteRange{0, 0}, ByteRange{8192, 1}, ByteRange{1, ~std::uint64_t{0}}}) {
        auto refused = buffer->map(Access::read, Deadline::none(), bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::invalid_argument);
    }
}

TEST_CASE("a consistent buffer is mapped and attached for ever, and tells who decided", "[buffer]") {
    auto exclusive = make_buffer();
    CHECK(exclusive->sharing() == Sharing::exclusive);
    CHECK(exclusive->decided_by() == "the default");
    auto made = Buffer::create(exclusive->memory(), 0, exclusive->layout(),
                               {.sharing = Sharing::consistent, .decided_by = "encoder"});
    REQUIRE(made);
    const auto& buffer = *made;
    CHECK(buffer->sharing() == Sharing::consistent);
    CHECK(buffer->decided_by() == "encoder");
    auto written = buffer->map(Access::write, Deadline::none());
    auto read = buffer->map(Access::read, Deadline::none());
    auto device = buffer->attach(Access::write, "encoder", Deadline::none());
    REQUIRE((written && read && device));
    written->row(0, 0)[0] = std::byte{42};
    CHECK(read->row(0, 0)[0] == std::byte{42});
}

TEST_CASE("a device attaches only where its dma-buf can be made", "[buffer]") {
    auto buffer = make_buffer();
    const auto fds = testing::count_fds();
    auto refused = buffer->attach_device(Access::read, "kms", Deadline::none());
    REQUIRE_FALSE(refused); // the heap memfd makes no dma-bufs
    CHECK(refused.error().code == Code::unsupported);
    CHECK(testing::count_fds() == fds);
    CHECK(buffer->map(Access::write, Deadline::none())); // and holds nothing
}
