// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include <share/accounting.hpp>
#include <share/heap.hpp>
#include <share/import.hpp>
#include <share/pool.hpp>

#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

const HeapTable& heaps() {
    static const HeapTable table = HeapTable::probe();
    return table;
}

Heap& heap(std::string_view name) {
    auto found = heaps().find(name);
    if (!found) SKIP(std::string(name) + ": " + found.error().text());
    return **found;
}

std::size_t segments_of_ours() {
    std::ifstream file("/proc/sysvipc/shm");
    std::string line;
    std::size_t count = 0;
    std::getline(file, line);
    while (std::getline(file, line)) {
        std::istringstream fields(line);
        long key = 0, id = 0, perms = 0, size = 0, creator = 0;
        fields >> key >> id >> perms >> size >> creator;
        if (creator == getpid()) ++count;
    }
    return count;
}

} // namespace

TEST_CASE("every heap of the table is there or says why not", "[heap]") {
    std::vector<std::string> names;
    for (const auto& entry : heaps().entries()) {
        names.push_back(entry.name);
        if (!entry.heap)
            CHECK_FALSE(entry.reason.text().empty());
        else
            CHECK(entry.heap->name() == entry.name);
    }
    REQUIRE(names.size() >= 4);
    CHECK(std::vector(names.begin(), names.begin() + 3) ==
          std::vector<std::string>{"udmabuf", "memfd", "sysv"});
    for (std::size_t i = 3; i < names.size(); ++i)
        CHECK((names[i].starts_with("memfd-huge") || names[i].starts_with("dma-heap:")));
    auto unknown = heaps().find("vram");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().text().find("known heaps: udmabuf, memfd, sysv") != std::string::npos);
    CHECK(heaps().first_of({"vram", "memfd"}));
    CHECK_FALSE(heaps().first_of({"vram", "tape"}));
}

TEST_CASE("an unavailable udmabuf heap names the device", "[heap]") {
    auto found = heaps().find("udmabuf");
    if (found) SKIP("this machine has /dev/udmabuf");
    CHECK(found.error().text().find("/dev/udmabuf") != std::string::npos);
}

TEST_CASE("memory of the memfd heap can neither shrink nor grow, and is writable by a peer", "[heap]") {
    auto memory = heap("memfd").allocate(10000, "frames");
    REQUIRE(memory);
    CHECK((*memory)->size() == 12288);
    const int fd = (*memory)->fd();
    CHECK(ftruncate(fd, 0) < 0);
    CHECK(ftruncate(fd, 1 << 20) < 0);
    const int seals = fcntl(fd, F_GET_SEALS);
    CHECK((seals & F_SEAL_SHRINK) != 0);
    CHECK((seals & F_SEAL_WRITE) == 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_FALSE(heap("memfd").allocate(0, "nothing"));
    CHECK_FALSE(heap("memfd").allocate(UINT64_MAX, "everything"));
}

TEST_CASE("memory of the memfd heap costs nothing until it is touched", "[heap]") {
    auto memory = heap("memfd").allocate(1ULL << 30, "sparse");
    REQUIRE(memory);
    struct stat st{};
    REQUIRE(fstat((*memory)->fd(), &st) == 0);
    CHECK(st.st_blocks == 0);
}

TEST_CASE("a System V segment is private and gone with its last user", "[heap][sysv]") {
    const auto before = segments_of_ours();
    {
        auto memory = heap("sysv").allocate(5000, "frames");
        REQUIRE(memory);
        REQUIRE((*memory)->sysv_id());
        struct shmid_ds ds{};
        REQUIRE(shmctl(*(*memory)->sysv_id(), IPC_STAT, &ds) == 0);
        CHECK((ds.shm_perm.mode & 0777) == 0600);
        CHECK((ds.shm_perm.mode & SHM_DEST) != 0);
        auto view = (*memory)->view(Access::read_write);
        REQUIRE(view);
        (*view)[4999] = std::byte{7};
        void* peer = shmat(*(*memory)->sysv_id(), nullptr, 0);
        REQUIRE(peer != reinterpret_cast<void*>(-1));
        CHECK(static_cast<std::byte*>(peer)[4999] == std::byte{7});
        shmdt(peer);
        CHECK(segments_of_ours() == before + 1);
    }
    CHECK(segments_of_ours() == before);
    {
        auto untouched = heap("sysv").allocate(5000, "never mapped");
        REQUIRE(untouched);
    }
    CHECK(segments_of_ours() == before);
}

TEST_CASE("a dma-buf of a udmabuf buffer shows the same bytes both ways and pins only while it lives",
          "[heap][udmabuf]") {
    Heap& udmabuf = heap("udmabuf");
    auto layout = Layout::linear(64, 64, format::xrgb8888);
    REQUIRE(layout);
    auto pool = Pool::create(udmabuf, *layout, 2, "test");
    REQUIRE(pool);
    auto slot = pool->try_acquire();
    REQUIRE(slot);
    std::shared_ptr<Buffer> buffer = slot->buffer();
    CHECK_FALSE(buffer->pinned());
    {
        auto handle = buffer->export_dmabuf();
        REQUIRE(handle);
        CHECK(buffer->pinned());
        auto imported = import_fd(UniqueFd(dup(handle->fd())));
        REQUIRE(imported);
        CHECK((*imported)->traits().kind == MemoryKind::dmabuf);
        auto mapping = buffer->map(Access::write, Deadline::in(1s));
        REQUIRE(mapping);
        mapping->row(0, 3)[5] = std::byte{0x42};
        REQUIRE(mapping->end());
        auto view = (*imported)->view(Access::read_write);
        REQUIRE(view);
        CHECK((*view)[layout->plane(0).stride * 3 + 5] == std::byte{0x42});
        (*view)[0] = std::byte{0x24};
        auto back = buffer->map(Access::read, Deadline::in(1s));
        REQUIRE(back);
        CHECK(back->row(0, 0)[0] == std::byte{0x24});
    }
    trim_pins();
    CHECK_FALSE(buffer->pinned());
}

TEST_CASE("a pool hands out each buffer once and takes back what is free", "[pool]") {
    auto layout = Layout::linear(100, 10, format::xrgb8888);
    REQUIRE(layout);
    auto pool = Pool::create(heap("memfd"), *layout, 3, "test");
    REQUIRE(pool);
    auto a = pool->try_acquire();
    auto b = pool->try_acquire();
    auto c = pool->try_acquire();
    REQUIRE((a && b && c));
    CHECK(a->buffer() != b->buffer());
    auto none = pool->try_acquire();
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::busy);

    SECTION("a dropped slot whose buffer is still attached is not free") {
        auto attachment = b->buffer()->attach(Access::read, "display", Deadline::none());
        REQUIRE(attachment);
        const auto index = b->index();
        *b = Pool::Slot();
        CHECK_FALSE(pool->try_acquire());
        attachment->release();
        auto again = pool->try_acquire();
        REQUIRE(again);
        CHECK(again->index() == index);
    }
    SECTION("the most recently used comes first") {
        const auto index = c->index();
        *a = Pool::Slot();
        *c = Pool::Slot();
        auto again = pool->try_acquire();
        REQUIRE(again);
        CHECK(again->index() == index);
    }
    SECTION("slots may outlive the pool") {
        {
            Pool gone = std::move(*pool);
        }
        auto mapping = a->buffer()->map(Access::write, Deadline::none());
        REQUIRE(mapping);
        mapping->row(0, 9)[399] = std::byte{1};
    }
}

TEST_CASE("a slot that is assigned over gives its buffer back at once", "[pool]") {
    auto layout = Layout::linear(64, 64, format::xrgb8888);
    REQUIRE(layout);
    auto pool = Pool::create(heap("memfd"), *layout, 2, "test pool");
    REQUIRE(pool);
    auto first = pool->try_acquire(), second = pool->try_acquire();
    REQUIRE((first && second));
    const auto freed = first->index();
    *first = std::move(*second);
    CHECK_FALSE(*second);
    auto again = pool->try_acquire();
    REQUIRE(again);
    CHECK(again->index() == freed);
    CHECK(first->index() != freed);
}

TEST_CASE("the buffers of a pool lie page-aligned in one file", "[pool]") {
    auto layout = Layout::linear(33, 7, format::rgb565);
    REQUIRE(layout);
    auto pool = Pool::create(heap("memfd"), *layout, 4, "test");
    REQUIRE(pool);
    for (std::uint32_t i = 0; i < 4; ++i) {
        CHECK(pool->buffer(i)->memory() == pool->memory());
        CHECK(pool->buffer(i)->offset() % 4096 == 0);
    }
    CHECK_FALSE(Pool::create(heap("memfd"), *layout, 0, "none"));
    CHECK_FALSE(Pool::create(heap("memfd"), *layout, 65, "many"));
}

TEST_CASE("a steady stream takes no page fault and opens no fd", "[pool]") {
    auto layout = Layout::linear(640, 480, format::xrgb8888);
    REQUIRE(layout);
    auto pool = Pool::create(heap("memfd"), *layout, 3, "test");
    REQUIRE(pool);
    const auto frame = [&](int value) {
        auto slot = pool->try_acquire();
        auto mapping = slot->buffer()->map(Access::write, Deadline::none());
        for (std::uint32_t y = 0; y < 480; ++y)
            std::memset(mapping->row(0, y).data(), value, mapping->row(0, y).size());
    };
    for (int i = 0; i < 8; ++i)
        frame(i);
    const auto fds = testing::count_fds();
    struct rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 200; ++i)
        frame(i);
    getrusage(RUSAGE_SELF, &after);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(after.ru_minflt - before.ru_minflt <
          20); // of 200 frames of 300 pages each: none of them the frames' own
#endif
    CHECK(testing::count_fds() == fds);
}
