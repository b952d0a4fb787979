// SPDX-License-Identifier: MIT
// Joined memory: what is refused before any device is asked; the joining itself needs /dev/udmabuf (suite
// vm).
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <share/cache_probe.hpp>
#include <share/heap.hpp>
#include <share/import.hpp>
#include <share/joined.hpp>

#include "process.hpp"

using namespace share;

namespace {

constexpr std::uint64_t page = 4096;

std::shared_ptr<Memory> memory_of(std::string_view heap, std::uint64_t size) {
    const auto table = HeapTable::probe();
    auto found = table.find(heap);
    if (!found) SKIP(found.error().text());
    auto memory = (*found)->allocate(size, "blocks");
    REQUIRE(memory);
    return *memory;
}

void refused(std::span<const MemoryRange> blocks, Code code, const std::string& word) {
    auto joined = join(blocks, "test");
    REQUIRE_FALSE(joined);
    INFO(joined.error().text());
    CHECK(joined.error().code == code);
    CHECK(joined.error().text().find(word) != std::string::npos);
}

void refused(std::initializer_list<MemoryRange> blocks, Code code, const std::string& word) {
    refused(std::span(blocks.begin(), blocks.size()), code, word);
}

} // namespace

TEST_CASE("blocks that cannot be joined are refused by number and reason", "[joined]") {
    const auto a = memory_of("memfd", 8 * page);
    const auto fds = testing::count_fds();
    refused({}, Code::invalid_argument, "at least one");
    refused({{nullptr, 0, page}}, Code::invalid_argument, "no memory");
    refused({{a, 0, page}, {a, page + 1, page}}, Code::invalid_argument, "block 1");
    refused({{a, 0, page - 1}}, Code::invalid_argument, "page size");
    refused({{a, 0, 0}}, Code::invalid_argument, "page size");
    refused({{a, 7 * page, 2 * page}}, Code::invalid_argument, "ends at 32768");
    refused({{a, UINT64_MAX & ~(page - 1), 2 * page}}, Code::invalid_argument, "ends at");
    refused({{a, 0, 2 * page}, {a, 4 * page, page}, {a, page, page}}, Code::invalid_argument,
            "the same bytes");
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("two memories of one file do not hide that blocks overlap", "[joined]") {
    const auto a = memory_of("memfd", 4 * page);
    auto again = import_fd(UniqueFd(dup(a->fd())));
    REQUIRE(again);
    refused({{a, 0, 2 * page}, {*again, page, page}}, Code::invalid_argument, "the same bytes");
}

TEST_CASE("only memfds that can neither shrink nor are sealed against writing are joined", "[joined]") {
    const auto segment = memory_of("sysv", page);
    refused({{segment, 0, page}}, Code::unsupported, "sysv");
    UniqueFd fd(memfd_create("read only", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(ftruncate(fd.get(), page) == 0);
    REQUIRE(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE) == 0);
    auto sealed = import_fd(std::move(fd));
    REQUIRE(sealed);
    refused({{*sealed, 0, page}}, Code::unsupported, "against writing");
}

TEST_CASE("memory that is read-only here is not joined, which would make it writable", "[joined]") {
    const auto a = memory_of("memfd", page);
    UniqueFd fd(open(("/proc/self/fd/" + std::to_string(a->fd())).c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(fd);
    auto readable = import_fd(std::move(fd));
    REQUIRE(readable);
    REQUIRE_FALSE((*readable)->traits().writable);
    refused({{*readable, 0, page}}, Code::unsupported, "read-only");
}

TEST_CASE("what is joined from memory for devices only cannot be mapped either", "[joined][udmabuf]") {
    const auto table = HeapTable::probe();
    auto heap = table.find("udmabuf");
    if (!heap) SKIP(heap.error().text());
    const auto open = memory_of("memfd", page);
    auto hidden = (*heap)->allocate(page, "hidden", {.device_only = true});
    REQUIRE(hidden);
    const MemoryRange both[] = {{open, 0, page}, {*hidden, 0, page}};
    auto joined = join(both, "test");
    if (!joined) FAIL(joined.error().text());
    CHECK_FALSE((*joined)->traits().mappable);
    auto view = (*joined)->view(Access::read);
    REQUIRE_FALSE(view);
    CHECK(view.error().code == Code::unsupported);
    auto visible = join(std::span(both, 1), "test");
    REQUIRE(visible);
    CHECK((*visible)->traits().mappable);
    CHECK((*visible)->view(Access::read));
}

TEST_CASE("without /dev/udmabuf joining says so and what to do", "[joined]") {
    if (access("/dev/udmabuf", R_OK | W_OK) == 0) SKIP("this machine has /dev/udmabuf");
    const auto a = memory_of("memfd", page);
    refused({{a, 0, page}}, Code::unavailable, "/dev/udmabuf");
}

TEST_CASE("times of reading and writing are judged with care: what is not clear stays unknown", "[cache]") {
    using enum CachePolicy;
    CHECK(judge_cache({.read = 1000, .write = 1000, .ordinary_read = 900, .ordinary_write = 900}) == cached);
    CHECK(judge_cache({.read = 3000, .write = 900, .ordinary_read = 900, .ordinary_write = 900}) == cached);
    CHECK(judge_cache({.read = 200000, .write = 4000, .ordinary_read = 900, .ordinary_write = 900}) ==
          write_combined);
    CHECK(judge_cache({.read = 200000, .write = 190000, .ordinary_read = 900, .ordinary_write = 900}) ==
          unknown);
    CHECK(judge_cache({.read = 8000, .write = 1000, .ordinary_read = 900, .ordinary_write = 900}) == unknown);
    CHECK(judge_cache({}) == unknown);
}

TEST_CASE("ordinary memory is never measured as write-combined", "[cache]") {
    const auto table = HeapTable::probe();
    for (const auto* name : {"memfd", "sysv"}) {
        auto heap = table.find(name);
        if (!heap) continue;
        auto traits = (*heap)->traits();
        CHECK(traits.cache_source == CacheSource::declared);
        measure_cache(**heap, traits);
        CHECK(traits.cache_source == CacheSource::measured);
        CHECK(traits.cache != CachePolicy::write_combined);
    }
}
