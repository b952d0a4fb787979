// SPDX-License-Identifier: MIT
// Every heap of every library on real devices, and udmabufs joined of many blocks: the same bytes through
// each view, and a display that reads them.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include <share/accounting.hpp>
#include <share/cache_probe.hpp>
#include <share/import.hpp>
#include <share/joined.hpp>
#include <share/kms/framebuffer.hpp>
#include <share/kms/scan_out.hpp>
#ifdef TEST_GBM
#include <share/egl/gbm_heap.hpp>
#endif

#include "kms_support.hpp"
#include "pagemap.hpp"
#include "process.hpp"
#include "unchanged.hpp"

using namespace share;
using namespace std::chrono_literals;
using testing::must, testing::says, testing::Unchanged;

namespace {

constexpr std::uint64_t page = 4096;

HeapTable table_of_all() {
    auto table = testing::all_heaps();
#ifdef TEST_GBM
    share::egl::add_gbm_heaps(table);
#endif
    return table;
}

/// A mapping of another fd of the same memory: other addresses, and other bytes if it were other memory.
std::shared_ptr<Memory> peer_of(Memory& memory) {
    const bool real = contains(memory.traits().exports, Exports::dmabuf);
    auto fd = real ? memory.export_dmabuf(0, memory.size()) : Result<UniqueFd>(UniqueFd(dup(memory.fd())));
    must(fd);
    auto peer = import_fd(std::move(*fd), {.accept_shrinkable = true, .need_write = true});
    must(peer);
    CHECK((*peer)->size() >= memory.size());
    return *peer;
}

/// Every page, both ways.
void same_bytes(std::span<std::byte> a, std::span<std::byte> b) {
    REQUIRE(a.data() != b.data());
    std::size_t wrong = 0;
    for (std::size_t at = 0; at < a.size(); at += page) {
        const auto mark = static_cast<std::byte>(at / page + 1);
        a[at + 3] = mark;
        wrong += b[at + 3] != mark;
        b[at + 3] = ~mark;
        wrong += a[at + 3] != ~mark;
    }
    CHECK(wrong == 0);
}

/// A module parameter, put back at the end.
class Parameter {
public:
    Parameter(std::string path, const std::string& value) : path_(std::move(path)) {
        std::ifstream(path_) >> old_;
        std::ofstream(path_) << value << std::flush;
    }
    ~Parameter() { std::ofstream(path_) << old_ << std::flush; }

private:
    std::string path_, old_;
};

std::shared_ptr<Memory> memory_of(const std::string& heap, std::uint64_t size) {
    const auto table = HeapTable::probe();
    auto memory = (*table.find(heap))->allocate(size, "blocks");
    must(memory);
    return *memory;
}

/// Pages of two memfds, alternating and each backwards: nothing is in its place.
std::vector<MemoryRange> shuffled(const std::shared_ptr<Memory>& a, const std::shared_ptr<Memory>& b,
                                  std::size_t count) {
    std::vector<MemoryRange> blocks;
    for (std::size_t i = 0; i < count; ++i) {
        blocks.push_back({a, (count - 1 - i) * page, page});
        blocks.push_back({b, (count - 1 - i) * page, page});
    }
    return blocks;
}

} // namespace

TEST_CASE("every heap of this machine says what it is, lends it, and takes it back", "[vm][heaps]") {
    const auto table = table_of_all();
    std::vector<std::string> there;
    for (const auto& entry : table.entries()) {
        INFO(entry.name << " " << entry.reason.text());
        if (!entry.heap) {
            CHECK_FALSE(entry.reason.detail.empty());
            continue;
        }
        there.push_back(entry.name);
        const Unchanged unchanged;
        const Traits traits = entry.heap->traits();
        auto memory = entry.heap->allocate(5 * page, "vm heaps");
        must(memory);
        CHECK((*memory)->heap() == entry.name);
        CHECK((*memory)->size() % traits.page_size == 0);
        auto view = (*memory)->view(Access::read_write);
        REQUIRE(view.ok() == traits.mappable);
        CHECK(traits.mappable); // as all of them are here
        CHECK((*memory)->export_dmabuf(0, (*memory)->size()).ok() ==
              contains(traits.exports, Exports::dmabuf));
        if ((*memory)->fd() >= 0 && view) {
            auto peer = peer_of(**memory);
            auto theirs = peer->view(Access::read_write);
            must(theirs);
            same_bytes(view->first(5 * page), theirs->first(5 * page));
            CHECK(peer->traits().kind ==
                  (contains(traits.exports, Exports::dmabuf) ? MemoryKind::dmabuf : traits.kind));
        }
    }
    for (const auto* name : {"udmabuf", "memfd", "sysv", "dma-heap:system"})
        CHECK(std::find(there.begin(), there.end(), name) != there.end());
    const auto count = [&](std::string_view start) {
        return std::count_if(there.begin(), there.end(),
                             [&](const auto& name) { return name.starts_with(start); });
    };
    CHECK(count("dumb:card") == 2); // vgem and vkms
#ifdef TEST_GBM
    CHECK(count("gbm:card") == 2);
#endif
}

TEST_CASE("device-only memory of every heap that has it is in no mapping of this process", "[vm][heaps]") {
    const auto table = table_of_all();
    for (const auto& entry : table.entries()) {
        if (!entry.heap) continue;
        INFO(entry.name);
        const Unchanged unchanged;
        auto memory = entry.heap->allocate(5 * page, "unseen", {.device_only = true});
        if (entry.heap->traits().needs_mapping) {
            REQUIRE_FALSE(memory);
            CHECK(memory.error().code == Code::unsupported);
            continue;
        }
        must(memory);
        CHECK((*memory)->view(Access::read).error().code == Code::unsupported);
        const auto inode = inode_of((*memory)->fd());
        must(inode);
        CHECK(testing::maps_of_inode(getpid(), inode->number, "").empty());
        CHECK((*memory)->export_dmabuf(0, (*memory)->size()).ok() ==
              contains(entry.heap->traits().exports, Exports::dmabuf));
    }
}

TEST_CASE("a cache policy is given by the heaps that have it and refused by the others, by name",
          "[vm][heaps]") {
    const auto table = table_of_all();
    for (const auto& entry : table.entries()) {
        if (!entry.heap) continue;
        INFO(entry.name);
        const auto traits = entry.heap->traits();
        CHECK(entry.heap->allocate(page, "x", {.cache = CacheChoice::cached}).ok() ==
              (traits.cache == CachePolicy::cached));
        auto combined = entry.heap->allocate(page, "x", {.cache = CacheChoice::write_combined});
        CHECK(combined.ok() == (traits.cache == CachePolicy::write_combined));
        if (!combined) says(combined.error(), entry.name);
        // This kernel's mappings are the host's ordinary memory.
        Traits measured;
        if (traits.mappable) measure_cache(*entry.heap, measured);
        CHECK(measured.cache != CachePolicy::write_combined);
    }
}

TEST_CASE("blocks that are joined are one dma-buf with the same bytes, block by block", "[vm][joined]") {
    const Unchanged unchanged;
    constexpr std::size_t count = 20;
    const auto a = memory_of("memfd", count * page), b = memory_of("udmabuf", count * page);
    const auto blocks = shuffled(a, b, count);
    const auto before = testing::all_dmabufs().size();
    const auto counted = memory_usage();
    {
        auto joined = join(blocks, "joined blocks");
        must(joined);
        CHECK(memory_usage().pinned_bytes == counted.pinned_bytes + 2 * count * page);
        CHECK(memory_usage().total_bytes == counted.total_bytes); // the blocks are counted already
        CHECK((*joined)->heap() == "joined");
        CHECK((*joined)->size() == 2 * count * page);
        CHECK((*joined)->traits().kind == MemoryKind::dmabuf);
        CHECK_FALSE((*joined)->traits().swappable);
        auto facts = inspect_fd((*joined)->fd());
        must(facts);
        CHECK(facts->size == 2 * count * page);
        REQUIRE(testing::all_dmabufs().size() == before + 1); // pinned now
        auto whole = (*joined)->view(Access::read_write);
        must(whole);
        std::uint64_t at = 0;
        for (const auto& block : blocks) {
            auto view = block.memory->view(Access::read_write);
            must(view);
            same_bytes(whole->subspan(at, block.length), view->subspan(block.offset, block.length));
            at += block.length;
        }
        auto peer = peer_of(**joined);
        auto theirs = peer->view(Access::read_write);
        must(theirs);
        same_bytes(*whole, *theirs);
    }
    CHECK(testing::all_dmabufs().size() == before); // and no more
    CHECK(memory_usage() == counted);
}

TEST_CASE("another process sees joined blocks as one range and writes into them", "[vm][joined]") {
    const Unchanged unchanged;
    const auto a = memory_of("memfd", 4 * page), b = memory_of("memfd", 4 * page);
    const auto blocks = shuffled(a, b, 4);
    auto joined = join(blocks, "joined");
    must(joined);
    auto view = a->view(Access::read_write);
    must(view);
    (*view)[3 * page] = std::byte{0x11}; // the first byte of the first block
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto peer = import_fd(UniqueFd(dup((*joined)->fd())), {.need_write = true});
        auto theirs = peer ? (*peer)->view(Access::read_write) : Result<std::span<std::byte>>(peer.error());
        if (!theirs || (*theirs)[0] != std::byte{0x11}) _exit(1);
        (*theirs)[2 * page] = std::byte{0x22}; // the third block: page 2 of a
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK((*view)[2 * page] == std::byte{0x22});
}

TEST_CASE("a display reads joined blocks as one picture, and memory of its own driver's heaps",
          "[vm][joined][kms]") {
    const Unchanged unchanged;
    auto device = testing::kms_device();
    const std::string kind = GENERATE(as<std::string>{}, "joined", "dumb", "gbm");
    INFO(kind);
    constexpr std::uint32_t width = 640, height = 480; // 300 pages
    const auto layout = Layout::linear(width, height, format::xrgb8888);
    must(layout);
    const auto table = table_of_all();
    auto joined = [&]() -> Result<std::shared_ptr<Memory>> {
        const std::size_t half = layout->size() / page / 2;
        if (kind == "joined")
            return join(shuffled(memory_of("memfd", half * page), memory_of("memfd", half * page), half),
                        "picture");
        const auto card = device->node().substr(device->node().rfind('/') + 1);
        auto heap = table.find(kind + ":" + card);
        if (!heap) SKIP(heap.error().text());
        return (*heap)->allocate(layout->size(), "picture");
    }();
    must(joined);
    auto buffer = Buffer::create(*joined, 0, *layout);
    must(buffer);
    testing::draw_pattern(**buffer, 3);
    auto framebuffer = share::kms::Framebuffer::create(device, *buffer);
    must(framebuffer);
    auto scan_out = share::kms::ScanOut::create(device, {0, width, height});
    must(scan_out);
    auto seen = testing::make_buffer(testing::heap_of(testing::all_heaps(), "udmabuf"), width, height);
    auto captured = share::kms::Framebuffer::create(device, seen);
    must(captured);
    must((*scan_out)->capture(*framebuffer, *captured, Deadline::in(5s)));
    CHECK(testing::differs_from_pattern(*seen, 3) == 0);
    CHECK(testing::differs_from_pattern(*seen, 4) > width * height / 2);
}

TEST_CASE("what cannot be joined is refused with the block or the limit named", "[vm][joined]") {
    const Unchanged unchanged;
    const auto memory = memory_of("memfd", 16 * page);
    std::vector<MemoryRange> five;
    for (std::uint64_t i = 0; i < 5; ++i)
        five.push_back({memory, i * page, page});
    {
        const Parameter list("/sys/module/udmabuf/parameters/list_limit", "4");
        auto refused = join(five, "five");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::limit);
        says(refused.error(), "list_limit = 4");
        must(join(std::span(five).first(4), "four"));
    }
    must(join(five, "five"));
    {
        const Parameter size("/sys/module/udmabuf/parameters/size_limit_mb", "1");
        const auto large = memory_of("memfd", 2U << 20U); // sparse: nothing is touched
        const MemoryRange both[] = {{large, 0, 1U << 20U}, {large, 1U << 20U, 1U << 20U}};
        auto refused = join(both, "large");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::limit);
        says(refused.error(), "size_limit_mb = 1");
        must(join(std::span(both).first(1), "half"));
    }
    const auto dma = memory_of("dma-heap:system", page);
    const MemoryRange foreign[] = {{memory, 0, page}, {dma, 0, page}};
    auto refused = join(foreign, "mixed");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    says(refused.error(), "block 1");
    says(refused.error(), "dma-buf");
}
