// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include <share/heap.hpp>
#include <share/import.hpp>

#include "pagemap.hpp"

using namespace share;

TEST_CASE("an exported memfd that is imported again is the same page frames, not a copy", "[pagemap]") {
    auto table = HeapTable::probe();
    auto heap = table.find("memfd");
    REQUIRE(heap);
    auto ours = (*heap)->allocate(16 * 4096, "share-pagemap-test");
    REQUIRE(ours);
    auto theirs = import_fd(UniqueFd(dup((*ours)->fd())));
    REQUIRE(theirs);
    auto a = (*ours)->view(Access::read_write);
    auto b = (*theirs)->view(Access::read_write);
    REQUIRE((a && b));
    REQUIRE(a->data() != b->data());
    for (std::size_t i = 0; i < a->size(); i += 4096)
        (*a)[i] = std::byte{1};
    for (std::size_t i = 0; i < b->size(); i += 4096)
        REQUIRE((*b)[i] == std::byte{1});

    const auto inode = inode_of((*ours)->fd());
    REQUIRE(inode);
    const auto maps = testing::maps_of_inode(getpid(), inode->number, "share-pagemap-test");
    REQUIRE(maps.size() == 2);
    if (!testing::page_frames_visible()) SKIP("page frame numbers need root (CAP_SYS_ADMIN)");
    const auto first = testing::page_frames(getpid(), maps[0], 0, 16);
    const auto second = testing::page_frames(getpid(), maps[1], 0, 16);
    REQUIRE(first.size() == 16);
    CHECK(first == second);
    for (const auto frame : first)
        CHECK(frame != 0);
}
