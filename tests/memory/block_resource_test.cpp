// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory_resource>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include <share/block_resource.hpp>
#include <share/heap.hpp>

using namespace share;

namespace {

constexpr std::size_t MiB = 1 << 20;

const HeapTable& heaps() {
    static const HeapTable table = HeapTable::probe();
    return table;
}

std::unique_ptr<BlockResource> resource_of(std::size_t size, std::string_view from = "memfd",
                                           bool odd = false) {
    auto heap = heaps().find(from);
    if (!heap) SKIP(std::string(from) + ": " + heap.error().text());
    auto memory = (*heap)->allocate(size, "malloc pool");
    if (!memory) SKIP(memory.error().text());
    auto arena = Arena::create(*memory);
    REQUIRE(arena);
    // The first byte of a block at an odd place is aligned to 64 and no more.
    const auto before = odd ? *arena->allocate(64, "another") : Block();
    auto block = arena->allocate(odd ? size - 64 : size, "malloc pool");
    REQUIRE(block);
    auto resource = BlockResource::create(*block);
    REQUIRE(resource);
    return std::move(*resource);
}

bool inside(const BlockResource& resource, const void* at) {
    const auto bytes = *resource.block().view(Access::read);
    return at >= bytes.data() && at < bytes.data() + bytes.size();
}

/// How many of the block's bytes are mapped by huge pages, transparent or not; the kernel tells it of the
/// mapping.
std::size_t huge_bytes(const Block& block) {
    const auto first = reinterpret_cast<std::uintptr_t>(block.view(Access::read).value().data());
    std::ifstream maps("/proc/self/smaps");
    std::size_t sum = 0;
    bool ours = false;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0, end = 0;
        std::size_t kilobytes = 0;
        char field[32] = {};
        if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
            ours = begin <= first && first < end;
        else if (ours && std::sscanf(line.c_str(), "%31[^:]: %zu kB", field, &kilobytes) == 2)
            if (const std::string_view name = field;
                name == "ShmemPmdMapped" || name == "Shared_Hugetlb" || name == "Private_Hugetlb")
                sum += kilobytes * 1024;
    }
    return sum;
}

/// Containers of many small objects that grow, shrink and go.
void use(std::pmr::memory_resource& resource) {
    std::pmr::map<int, std::pmr::string> words(&resource);
    std::pmr::unordered_map<int, std::pmr::vector<int>> numbers(&resource);
    std::mt19937 random(5);
    for (int i = 0; i < 5000; ++i) {
        const int key = static_cast<int>(random() % 500);
        words[key] =
            std::pmr::string(static_cast<std::size_t>(random() % 200), static_cast<char>('a' + key % 26));
        numbers[key].push_back(i);
        if (random() % 3 == 0) words.erase(static_cast<int>(random() % 500));
        if (random() % 5 == 0) numbers.erase(static_cast<int>(random() % 500));
    }
    bool right = true;
    for (const auto& [key, word] : words)
        right = right && word.find_first_not_of(static_cast<char>('a' + key % 26)) == word.npos;
    CHECK(right);
}

} // namespace

TEST_CASE("containers live in a block and leave nothing behind", "[pmr]") {
    const auto resource = resource_of(2 * MiB);
    {
        std::pmr::vector<int> numbers({1, 2, 3}, resource.get());
        CHECK(inside(*resource, numbers.data()));
    }
    use(*resource);
    const auto s = resource->statistics();
    CHECK(s.blocks == 0);
    CHECK(s.free_blocks == 1);
    CHECK(s.largest_free == s.size);
}

TEST_CASE("the standard's own pools work on top of a block", "[pmr]") {
    const auto resource = resource_of(8 * MiB);
    {
        std::pmr::unsynchronized_pool_resource pool(resource.get());
        use(pool);
        std::pmr::synchronized_pool_resource shared_pool(resource.get());
        use(shared_pool);
        std::pmr::monotonic_buffer_resource rising(resource.get());
        std::pmr::vector<std::pmr::string> lines(&rising);
        for (int i = 0; i < 1000; ++i)
            lines.emplace_back("a line that is longer than what a string keeps in itself");
        CHECK(inside(*resource, lines.back().data()));
    }
    CHECK(resource->statistics().blocks == 0);
}

TEST_CASE("every alignment is met, up to and beyond that of the mapping", "[pmr]") {
    for (const bool odd : {false, true}) {
        const auto resource = resource_of(32 * MiB, "memfd", odd);
        std::vector<std::tuple<void*, std::size_t, std::size_t>> all;
        for (std::size_t alignment = 1; alignment <= 2 * MiB; alignment *= 2) {
            for (const std::size_t bytes : {std::size_t{1}, std::size_t{24}, alignment / 2 + 1}) {
                void* at = resource->allocate(bytes, alignment);
                INFO(bytes << " bytes at " << alignment);
                CHECK(reinterpret_cast<std::uintptr_t>(at) % alignment == 0);
                CHECK(inside(*resource, at));
                CHECK(inside(*resource, static_cast<std::byte*>(at) + bytes - 1));
                all.emplace_back(at, bytes, alignment);
            }
        }
        std::ranges::sort(all);
        bool apart = true;
        for (std::size_t i = 1; i < all.size(); ++i)
            apart = apart && static_cast<std::byte*>(std::get<0>(all[i - 1])) + std::get<1>(all[i - 1]) <=
                                 std::get<0>(all[i]);
        CHECK(apart);
        for (const auto& [at, bytes, alignment] : all)
            resource->deallocate(at, bytes, alignment);
        CHECK(resource->statistics().blocks == 0);
    }
}

TEST_CASE("nothing at all is an object of its own, too", "[pmr]") {
    const auto resource = resource_of(MiB);
    void *a = resource->allocate(0), *b = resource->allocate(0);
    CHECK(a != nullptr);
    CHECK(a != b);
    resource->deallocate(a, 0);
    resource->deallocate(b, 0);
    CHECK(resource->statistics().blocks == 0);
}

TEST_CASE("a full block throws bad_alloc, and works again when something is freed", "[pmr]") {
    const auto resource = resource_of(MiB);
    std::vector<void*> all;
    CHECK_THROWS_AS(
        [&] {
            for (;;)
                all.push_back(resource->allocate(1000));
        }(),
        std::bad_alloc);
    CHECK(all.size() == MiB / 1008);
    CHECK_THROWS_AS(resource->allocate(~std::size_t{0} / 2 - 64), std::bad_alloc);
    CHECK_THROWS_AS(resource->allocate(1, std::size_t{1} << 63), std::bad_alloc);
    resource->deallocate(all.back(), 1000);
    CHECK_NOTHROW(all.back() = resource->allocate(1000));
    for (void* at : all)
        resource->deallocate(at, 1000);
    CHECK(resource->statistics().largest_free == MiB);
}

TEST_CASE("containers of several threads share a block", "[pmr][threads]") {
    const auto resource = resource_of(8 * MiB);
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            std::pmr::map<int, std::pmr::string> words(resource.get());
            for (int i = 0; i < 2000; ++i) {
                words[i % 50] =
                    std::pmr::string(static_cast<std::size_t>(i % 100), static_cast<char>('a' + t));
                if (i % 7 == 0) words.erase(i % 31);
            }
            for (const auto& [key, word] : words)
                if (word.find_first_not_of(static_cast<char>('a' + t)) != word.npos) ++wrong;
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(wrong == 0);
    CHECK(resource->statistics().blocks == 0);
}

TEST_CASE("a resource equals itself only", "[pmr]") {
    const auto one = resource_of(MiB), two = resource_of(MiB);
    CHECK(one->is_equal(*one));
    CHECK_FALSE(one->is_equal(*two));
    CHECK_FALSE(one->is_equal(*std::pmr::new_delete_resource()));
}

TEST_CASE("a malloc pool lies in huge pages where there are any", "[pmr][huge]") {
    const auto resource = resource_of(4 * MiB, "memfd-huge");
    const auto traits = resource->block().memory()->traits();
    CHECK(std::max(traits.page_size, traits.largest_page) >= 2 * MiB);
    use(*resource);
    CHECK(resource->statistics().blocks == 0);
    if (traits.kind != MemoryKind::hugetlbfs && huge_bytes(resource->block()) == 0)
        SKIP("the kernel had no transparent huge page to give");
    CHECK(huge_bytes(resource->block()) >= 2 * MiB);
}
