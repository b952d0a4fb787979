// SPDX-License-Identifier: MIT
// What a heap says of itself, and what it refuses at allocation.
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include <share/buffer.hpp>
#include <share/heap.hpp>
#include <share/pool.hpp>

#include "process.hpp"

namespace {

using namespace share;

/// A heap that says what the test wants it to say, and counts what reaches it.
class SaidHeap final : public Heap {
public:
    explicit SaidHeap(const Traits& traits) : traits_(traits), table_(HeapTable::probe()) {}
    std::string_view name() const noexcept override { return "said"; }
    Traits traits() const noexcept override { return traits_; }
    int reached = 0;

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override {
        ++reached;
        return (*table_.find("memfd"))->allocate(size, name);
    }

private:
    Traits traits_;
    HeapTable table_;
};

Traits cached_as(CachePolicy policy) {
    Traits traits;
    traits.cache = policy;
    return traits;
}

} // namespace

TEST_CASE("a heap that cannot give the wanted cache policy refuses and names what it can give", "[heap]") {
    SaidHeap cached(cached_as(CachePolicy::cached));
    CHECK(cached.allocate(4096, "x", {.cache = CacheChoice::any}));
    CHECK(cached.allocate(4096, "x", {.cache = CacheChoice::cached}));
    auto refused = cached.allocate(4096, "x", {.cache = CacheChoice::write_combined});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    CHECK(refused.error().text().find("write-combined") != std::string::npos);
    CHECK(refused.error().text().find("gives cached memory (declared)") != std::string::npos);
    CHECK(cached.reached == 2);

    SaidHeap combined(cached_as(CachePolicy::write_combined));
    CHECK(combined.allocate(4096, "x", {.cache = CacheChoice::write_combined}));
    CHECK_FALSE(combined.allocate(4096, "x", {.cache = CacheChoice::cached}));
}

TEST_CASE("a policy that is not known is never passed off as the wanted one", "[heap]") {
    SaidHeap heap(cached_as(CachePolicy::unknown));
    CHECK(heap.allocate(4096, "x"));
    for (const auto choice : {CacheChoice::cached, CacheChoice::write_combined}) {
        auto refused = heap.allocate(4096, "x", {.cache = choice});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::unsupported);
        CHECK(refused.error().text().find("not known") != std::string::npos);
    }
    CHECK(heap.reached == 1);
}

TEST_CASE("memory that no CPU can map has no cache policy to choose", "[heap]") {
    Traits traits = cached_as(CachePolicy::cached);
    traits.mappable = false;
    SaidHeap heap(traits);
    auto refused = heap.allocate(4096, "x", {.cache = CacheChoice::cached});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("device-only") != std::string::npos);
    SaidHeap mapped(cached_as(CachePolicy::cached));
    auto senseless = mapped.allocate(4096, "x", {.cache = CacheChoice::cached, .device_only = true});
    REQUIRE_FALSE(senseless);
    CHECK(senseless.error().code == Code::invalid_argument);
}

TEST_CASE("device-only memory is never mapped by this process, and its buffers refuse a CPU view", "[heap]") {
    const auto before = testing::count_fds();
    {
        auto heaps = HeapTable::probe();
        auto heap = heaps.find("memfd");
        REQUIRE(heap);
        auto layout = Layout::linear(64, 64, format::xrgb8888);
        REQUIRE(layout);
        auto memory = (*heap)->allocate(layout->size(), "for devices", {.device_only = true});
        REQUIRE(memory);
        CHECK_FALSE((*memory)->traits().mappable);
        for (const Access access : {Access::read, Access::write, Access::read_write}) {
            auto view = (*memory)->view(access);
            REQUIRE_FALSE(view);
            CHECK(view.error().code == Code::unsupported);
        }
        auto buffer = Buffer::create(*memory, 0, *layout);
        REQUIRE(buffer);
        auto mapping = (*buffer)->map(Access::read, Deadline::none());
        REQUIRE_FALSE(mapping);
        CHECK(mapping.error().code == Code::unsupported);
        CHECK((*buffer)->export_memfd());
        // The promise is about one allocation, not about its heap.
        auto other = (*heap)->allocate(4096, "for CPUs");
        REQUIRE(other);
        CHECK((*other)->view(Access::read_write));
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("the frames of a pool are of the memory that its user wants", "[heap]") {
    auto heaps = HeapTable::probe();
    auto heap = heaps.find("memfd");
    REQUIRE(heap);
    auto layout = Layout::linear(64, 64, format::xrgb8888);
    REQUIRE(layout);
    auto unseen = Pool::create(**heap, *layout, 2, "unseen", {.device_only = true});
    REQUIRE(unseen);
    auto slot = unseen->try_acquire();
    REQUIRE(slot);
    auto mapping = slot->buffer()->map(Access::write, Deadline::none());
    REQUIRE_FALSE(mapping);
    CHECK(mapping.error().code == Code::unsupported);
    auto refused = Pool::create(**heap, *layout, 2, "combined", {.cache = CacheChoice::write_combined});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("memfd") != std::string::npos);
}

TEST_CASE("the sysv heap cannot be device-only and says why", "[heap][sysv]") {
    auto heaps = HeapTable::probe();
    auto heap = heaps.find("sysv");
    if (!heap) SKIP("no System V shared memory here");
    CHECK((*heap)->traits().needs_mapping);
    auto refused = (*heap)->allocate(4096, "x", {.device_only = true});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    CHECK(refused.error().text().find("only while it is mapped") != std::string::npos);
}

TEST_CASE("every heap here exports what its traits say and nothing else", "[heap]") {
    auto heaps = HeapTable::probe();
    for (const auto& entry : heaps.entries()) {
        if (!entry.heap) continue;
        INFO(entry.name);
        const auto traits = entry.heap->traits();
        auto layout = Layout::linear(32, 32, format::xrgb8888);
        REQUIRE(layout);
        auto memory = entry.heap->allocate(layout->size(), "exports");
        REQUIRE(memory);
        CHECK((*memory)->traits().exports == traits.exports);
        auto buffer = Buffer::create(*memory, 0, *layout);
        REQUIRE(buffer);
        CHECK((*buffer)->export_dmabuf().ok() == contains(traits.exports, Exports::dmabuf));
        CHECK((*buffer)->export_memfd().ok() == contains(traits.exports, Exports::memfd));
        CHECK((*buffer)->export_sysv().ok() == contains(traits.exports, Exports::sysv));
        const auto privilege = entry.heap->privilege();
        CHECK((privilege.kind == Privilege::Kind::none) == privilege.path.empty());
        if (privilege.kind == Privilege::Kind::device_node)
            CHECK(access(privilege.path.c_str(), R_OK | W_OK) == 0);
    }
}

TEST_CASE("what memory can be exported as is a set with words for a person", "[heap]") {
    CHECK(to_string(Exports::none) == "none");
    CHECK(to_string(Exports::memfd | Exports::dmabuf) == "dma-buf, memfd");
    CHECK(contains(Exports::memfd | Exports::dmabuf, Exports::memfd));
    CHECK_FALSE(contains(Exports::memfd, Exports::memfd | Exports::sysv));
}
