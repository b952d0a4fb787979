// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <random>
#include <thread>

#include <share/arena.hpp>
#include <share/buffer.hpp>
#include <share/buffer_arena.hpp>
#include <share/heap.hpp>
#include <share/import.hpp>

#include "naive_ranges.hpp"
#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t MiB = 1 << 20;

Heap& heap(std::string_view name) {
    static const HeapTable table = HeapTable::probe();
    auto found = table.find(name);
    if (!found) SKIP(std::string(name) + ": " + found.error().text());
    return **found;
}

std::shared_ptr<Memory> memory_of(std::uint64_t size, std::string_view from = "memfd") {
    auto memory = heap(from).allocate(size, "arena test");
    REQUIRE(memory);
    return *memory;
}

Arena arena_of(std::uint64_t size, std::uint64_t granule = 64, Fit fit = Fit::best) {
    ArenaOptions options;
    options.granule = granule;
    options.fit = fit;
    auto arena = Arena::create(memory_of(size), std::move(options));
    REQUIRE(arena);
    return std::move(*arena);
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

/// A process that has the memory mapped and fills all of it with garbage, over and over, until this one goes.
class Scribbler {
public:
    explicit Scribbler(const Memory& memory) {
        int ready[2];
        REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
        const UniqueFd begins(ready[0]);
        UniqueFd tells(ready[1]);
        const pid_t parent = getpid();
        child_ = fork();
        REQUIRE(child_ >= 0);
        if (child_ != 0) {
            tells.reset(); // so that a child that ends at once ends the waiting
            char begun = 0;
            const bool scribbles = read(begins.get(), &begun, 1) == 1;
            if (!scribbles) end();
            REQUIRE(scribbles);
            return;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        auto same = import_fd(UniqueFd(dup(memory.fd())));
        auto bytes = same ? (*same)->view(Access::read_write) : Result<std::span<std::byte>>(same.error());
        if (!bytes) _exit(1);
        for (unsigned round = 1;; ++round) {
            std::mt19937 random(round);
            for (std::size_t at = 0; at + 4 <= bytes->size(); at += 4) {
                const auto word = static_cast<std::uint32_t>(random());
                std::memcpy(bytes->data() + at, &word, 4);
            }
            if (round == 1 && write(tells.get(), "x", 1) != 1) _exit(1);
        }
    }
    ~Scribbler() { end(); }
    Scribbler(const Scribbler&) = delete;
    Scribbler& operator=(const Scribbler&) = delete;

private:
    void end() const {
        kill(child_, SIGKILL);
        waitpid(child_, nullptr, 0);
    }
    pid_t child_ = -1;
};

/// Gives memory in pieces of 64 KiB, as heaps of larger pages do.
class CoarseHeap final : public Heap {
public:
    static constexpr std::uint64_t piece = 64 * 1024;
    std::string_view name() const noexcept override { return "coarse"; }
    Traits traits() const noexcept override {
        Traits traits;
        traits.page_size = piece;
        return traits;
    }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override {
        return heap("memfd").allocate((size + piece - 1) / piece * piece, name);
    }
};

Layout picture(std::uint32_t width, std::uint32_t height) {
    auto layout = Layout::linear(width, height, format::xrgb8888);
    REQUIRE(layout);
    return *layout;
}

} // namespace

TEST_CASE("ten users of 1 MiB of whom five are busy at once share a reserve of 5 MiB", "[arena]") {
    auto arena = arena_of(5 * MiB);
    const auto user = [](int number) { return "device " + std::to_string(number); };
    std::vector<Block> busy;
    for (int i = 0; i < 5; ++i) {
        auto block = arena.allocate(MiB, user(i));
        REQUIRE(block);
        busy.push_back(*block);
    }
    CHECK(arena.statistics().free == 0);

    const auto sixth = arena.allocate(MiB, user(5));
    REQUIRE_FALSE(sixth);
    CHECK(sixth.error().code == Code::out_of_memory);
    const auto text = sixth.error().text();
    INFO(text);
    CHECK(contains(text, "allocating 1048576 bytes for 'device 5'"));
    CHECK(contains(text, "0 bytes are free"));
    for (int i = 0; i < 5; ++i)
        CHECK(contains(text, user(i) + " 1048576"));
    CHECK(contains(text, "have a block released"));

    // Everybody has a turn, in any order, and nobody is ever refused while fewer than five are busy.
    std::mt19937 random(7);
    for (int i = 5; i < 100; ++i) {
        busy.erase(busy.begin() + static_cast<std::ptrdiff_t>(random() % busy.size()));
        CHECK(arena.statistics().largest_free == MiB);
        auto block = arena.allocate(MiB, user(i % 10));
        REQUIRE(block);
        busy.push_back(*block);
    }
    busy.clear();
    const auto s = arena.statistics();
    CHECK(s.blocks == 0);
    CHECK(s.free_blocks == 1);
    CHECK(s.largest_free == 5 * MiB);
    CHECK(s.fragmentation() == 0);
}

TEST_CASE("a refusal names the largest holders, each once, and counts the others", "[arena]") {
    auto arena = arena_of(64 * 1024);
    std::vector<Block> blocks;
    for (int i = 0; i < 20; ++i) {
        auto block =
            arena.allocate(i < 2 ? 1024 : 64 * (i + 1), i < 2 ? "mixer" : "user " + std::to_string(i));
        REQUIRE(block);
        blocks.push_back(*block);
    }
    const auto text = arena.allocate(MiB, "late").error().text();
    INFO(text);
    CHECK(contains(text, "held by mixer 2048, user 19 1280, user 18 1216, "));
    CHECK(contains(text, " and 11 more; have"));
}

TEST_CASE("a block is free when its last share is gone, whoever has it", "[arena]") {
    const auto fds = testing::count_fds();
    {
        auto arena = arena_of(64 * 1024, 4096);
        auto got = arena.allocate(5000, "decoder");
        REQUIRE(got);
        Block first = *got;
        got = Block();
        CHECK(first.size() == 8192);
        CHECK(first.holder() == "decoder");
        Block second = first; // get
        CHECK(first.use_count() == 2);
        auto buffer = second.make_buffer(picture(32, 32));
        REQUIRE(buffer);
        CHECK(first.use_count() == 3);
        CHECK((*buffer)->offset() == first.offset());
        first = Block(); // put
        second = Block();
        REQUIRE(arena.holdings().size() == 1);
        CHECK(arena.holdings()[0].holder == "decoder");
        CHECK(arena.holdings()[0].shares == 1);
        CHECK(arena.statistics().used == 8192);
        {
            auto mapping = (*buffer)->map(Access::write, Deadline::none());
            REQUIRE(mapping);
            std::memset(mapping->row(0, 31).data(), 0x5a, 128);
        }
        *buffer = nullptr;
        CHECK(arena.holdings().empty());
        CHECK(arena.statistics().free == 64 * 1024);
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("blocks outlive their arena", "[arena]") {
    Block block;
    {
        auto arena = arena_of(4096);
        auto got = arena.allocate(100, "x");
        REQUIRE(got);
        block = *got;
    }
    auto bytes = block.view(Access::read_write);
    REQUIRE(bytes);
    CHECK(bytes->size() == 128);
    std::memset(bytes->data(), 1, bytes->size());
}

TEST_CASE("a refusal tells scattered free bytes from too few, and an alignment that nothing meets",
          "[arena]") {
    auto arena = arena_of(64 * 1024, 4096);
    std::vector<Block> blocks;
    for (int i = 0; i < 16; ++i) {
        auto block = arena.allocate(4096, "tile");
        REQUIRE(block);
        blocks.push_back(*block);
    }
    for (std::size_t i = 0; i < 16; i += 2)
        blocks[i] = Block();
    const auto s = arena.statistics();
    CHECK(s.free == 32 * 1024);
    CHECK(s.largest_free == 4096);
    CHECK(s.free_blocks == 8);
    CHECK(s.fragmentation() == 1 - 1.0 / 8);
    const auto scattered = arena.allocate(8192, "scaler");
    REQUIRE_FALSE(scattered);
    CHECK(contains(scattered.error().text(), "32768 bytes are free, but the largest free block has 4096"));
    CHECK(contains(scattered.error().text(), "held by tile 32768"));

    blocks[1] = Block();
    CHECK(arena.statistics().largest_free == 3 * 4096);
    blocks[0] = *arena.allocate(4096, "first"); // best fit takes another hole than the one at the start
    const auto wall = arena.allocate(4096, "wall", 64 * 1024); // takes the only multiple there is
    REQUIRE(wall);
    REQUIRE(wall->offset() == 0);
    REQUIRE(arena.statistics().largest_free == 2 * 4096);
    const auto odd = arena.allocate(4096, "device", 64 * 1024);
    REQUIRE_FALSE(odd);
    INFO(odd.error().text());
    CHECK(odd.error().code == Code::out_of_memory);
    CHECK(contains(odd.error().text(), "none was found at a multiple of 65536"));
    CHECK(arena.allocate(1, "x", 3).error().code == Code::invalid_argument);
    CHECK(arena.allocate(0, "x").error().code == Code::invalid_argument);
    CHECK(arena.allocate(~std::uint64_t{0}, "x").error().code == Code::out_of_memory);
    CHECK(arena.allocate(1, "x", std::uint64_t{1} << 63).error().code == Code::out_of_memory);
}

TEST_CASE("an arena of good fit says when the range that would do was not among the tried ones", "[arena]") {
    auto arena = arena_of(std::uint64_t{11} * 4096, 64, Fit::good);
    std::vector<Block> blocks, walls;
    for (int i = 0; i < 10; ++i) {
        auto block = arena.allocate((i == 0 ? 65 : 64) * 64, "tile");
        auto wall = arena.allocate(64, "wall");
        REQUIRE((block && wall));
        blocks.push_back(*block);
        walls.push_back(*wall);
    }
    for (auto& block : blocks) // the long one first: it is the last of its class
        block = Block();
    REQUIRE(arena.statistics().largest_free == 65 * 64);
    const auto late = arena.allocate(65 * 64, "late");
    REQUIRE_FALSE(late);
    INFO(late.error().text());
    CHECK(contains(late.error().text(), "4160 and was not among those that were tried"));
    CHECK(arena.allocate(64 * 64, "fits"));
}

TEST_CASE("an arena cannot be made with granules that make no sense", "[arena]") {
    const auto with = [](std::uint64_t size, std::uint64_t granule) {
        ArenaOptions options;
        options.granule = granule;
        return Arena::create(memory_of(size), std::move(options));
    };
    CHECK(with(4096, 0).error().code == Code::invalid_argument);
    CHECK(with(4096, 48).error().code == Code::invalid_argument);
    CHECK(with(4096, 8192).error().code == Code::invalid_argument);
    CHECK(with(std::uint64_t{1} << 32, 1).error().code == Code::limit);
    CHECK(with(std::uint64_t{1} << 32, 16));
}

TEST_CASE("a block cannot hold a buffer that is larger than it", "[arena]") {
    auto arena = arena_of(64 * 1024, 4096);
    auto block = arena.allocate(4096, "small");
    REQUIRE(block);
    const auto buffer = block->make_buffer(picture(64, 64));
    REQUIRE_FALSE(buffer);
    CHECK(buffer.error().code == Code::invalid_argument);
}

TEST_CASE("a peer that scribbles over all of the memory does not disturb its division", "[arena]") {
    for (const auto fit : {Fit::best, Fit::good}) {
        auto arena = arena_of(MiB, 64, fit);
        const Scribbler peer(*arena.memory());
        auto mine = arena.memory()->view(Access::read_write);
        REQUIRE(mine);
        testing::NaiveRanges naive(MiB / 64);
        std::vector<Block> blocks;
        std::mt19937 random(99);
        bool right = true;
        for (int step = 0; step < 20000 && right; ++step) {
            if (blocks.empty() || random() % 2 == 0) {
                const std::uint32_t units = 1 + random() % 200;
                const auto shortest = naive.shortest(units);
                auto got = arena.allocate(units * 64, "x");
                if (!got) {
                    right = fit == Fit::good ? naive.largest() < units + units / 32 + 1 : !shortest;
                    continue;
                }
                const auto start = static_cast<std::uint32_t>(got->offset() / 64);
                const auto from = naive.holding(start, units);
                right = from != naive.free.end() && (fit == Fit::good || from->second == *shortest);
                right = right && naive.take(start, units);
                blocks.push_back(*got);
            } else {
                std::swap(blocks[random() % blocks.size()], blocks.back());
                naive.give(static_cast<std::uint32_t>(blocks.back().offset() / 64),
                           static_cast<std::uint32_t>(blocks.back().size() / 64));
                blocks.pop_back();
            }
            std::memset(mine->data(), 0xff, 4096); // and so do we
        }
        CHECK(right);
        const auto s = arena.statistics();
        CHECK(s.free == naive.free_units() * 64);
        CHECK(s.largest_free == naive.largest() * std::uint64_t{64});
        CHECK(s.free_blocks == naive.free.size());
        CHECK(s.blocks == blocks.size());
        blocks.clear();
        CHECK(arena.statistics().largest_free == MiB);
    }
}

TEST_CASE("threads may allocate and free at the same time", "[arena][threads]") {
    auto arena = arena_of(4 * MiB);
    std::vector<std::thread> threads;
    std::atomic<int> overlaps = 0;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            std::mt19937 random(static_cast<unsigned>(t));
            std::vector<Block> blocks;
            for (int i = 0; i < 2000; ++i) {
                if (auto got = arena.allocate(64 + random() % 2000, "thread")) {
                    const auto bytes = *got->view(Access::read_write);
                    std::memset(bytes.data(), t + 1, bytes.size());
                    blocks.push_back(*got);
                }
                if (i % 100 == 0) (void)arena.holdings();
                if (blocks.size() < 20) continue;
                const auto at = blocks.begin() + static_cast<std::ptrdiff_t>(random() % blocks.size());
                const auto bytes = *at->view(Access::read);
                for (const auto byte : bytes)
                    if (byte != static_cast<std::byte>(t + 1)) ++overlaps;
                blocks.erase(at);
            }
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(overlaps == 0);
    CHECK(arena.statistics().blocks == 0);
    CHECK(arena.statistics().largest_free == 4 * MiB);
}

TEST_CASE("small buffers share one file and do not overlap", "[arena][buffer]") {
    const auto fds = testing::count_fds();
    {
        BufferArena small(heap("memfd"), "cursors", {.chunk = MiB, .limit = 4 * MiB});
        CHECK(small.memories() == 0);
        std::vector<std::shared_ptr<Buffer>> buffers;
        for (std::uint32_t i = 0; i < 30; ++i) {
            auto buffer = small.make(picture(16 + i, 64), "cursor");
            REQUIRE(buffer);
            CHECK((*buffer)->offset() % 4096 == 0);
            auto mapping = (*buffer)->map(Access::write, Deadline::none());
            REQUIRE(mapping);
            for (std::uint32_t y = 0; y < 64; ++y)
                std::memset(mapping->row(0, y).data(), static_cast<int>(i + 1), mapping->row(0, y).size());
            buffers.push_back(*buffer);
        }
        CHECK(small.memories() == 1);
        CHECK(testing::count_fds() == fds + 1);
        for (std::uint32_t i = 0; i < 30; ++i) {
            auto mapping = buffers[i]->map(Access::read, Deadline::none());
            REQUIRE(mapping);
            CHECK(buffers[i]->memory()->fd() == buffers[0]->memory()->fd());
            bool whole = true;
            for (std::uint32_t y = 0; y < 64; ++y)
                for (const auto byte : mapping->row(0, y))
                    whole = whole && byte == static_cast<std::byte>(i + 1);
            CHECK(whole);
        }
        CHECK(small.statistics().blocks == 30);
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("small buffers take further memories up to the limit, and give empty ones back",
          "[arena][buffer]") {
    BufferArena small(heap("memfd"), "tiles", {.chunk = MiB, .limit = 3 * MiB});
    std::vector<std::shared_ptr<Buffer>> buffers;
    for (;;) {
        auto buffer = small.make(picture(128, 128), "tile"); // 64 KiB
        if (!buffer) {
            CHECK(buffer.error().code == Code::limit);
            break;
        }
        buffers.push_back(*buffer);
    }
    CHECK(buffers.size() == 48);
    CHECK(small.memories() == 3);
    buffers.clear();
    CHECK(small.statistics().used == 0);
    auto again = small.make(picture(128, 128), "tile");
    REQUIRE(again);
    CHECK(small.memories() <= 2);
    auto large = small.make(picture(600, 600), "wallpaper"); // a memory of its own
    REQUIRE(large);
    CHECK((*large)->memory()->fd() != (*again)->memory()->fd());
    *again = nullptr;
    *large = nullptr;
    small.trim();
    CHECK(small.memories() == 0);
}

TEST_CASE("small buffers do not settle in a memory that was made for a large one", "[arena][buffer]") {
    BufferArena small(heap("memfd"), "mixed", {.chunk = MiB, .limit = 16 * MiB});
    auto large = small.make(picture(600, 600), "wallpaper");
    REQUIRE(large);
    const auto file = inode_of((*large)->memory()->fd());
    REQUIRE(file);
    auto keeps = std::weak_ptr(*large);
    *large = nullptr; // its memory may stay until the next call
    CHECK(keeps.expired());
    auto icon = small.make(picture(16, 16), "icon");
    REQUIRE(icon);
    CHECK((*icon)->memory()->size() == MiB);
    CHECK(small.memories() == 1);
    CHECK(small.statistics().size == MiB);
}

TEST_CASE("the limit of small buffers holds for what the heap gives, rounded to its pages",
          "[arena][buffer]") {
    CoarseHeap coarse;
    BufferArena small(coarse, "tiles", {.chunk = 4096, .limit = 100 * 1024});
    std::vector<std::shared_ptr<Buffer>> buffers;
    for (int i = 0; i < 16; ++i) { // also the memory of a chunk's rounded size is one for many
        auto buffer = small.make(picture(32, 32), "tile");
        REQUIRE(buffer);
        buffers.push_back(*buffer);
    }
    CHECK(small.memories() == 1);
    auto more = small.make(picture(32, 32), "tile");
    REQUIRE_FALSE(more);
    CHECK(more.error().code == Code::limit);
    CHECK(small.statistics().size == CoarseHeap::piece);

    BufferArena endless(coarse, "all", {.chunk = UINT64_MAX, .limit = UINT64_MAX});
    auto none = endless.make(picture(32, 32), "tile");
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Code::limit);
}

TEST_CASE("each small buffer's dma-buf shows its own pages and no others", "[arena][buffer][udmabuf]") {
    BufferArena small(heap("udmabuf"), "cursors", {.chunk = MiB, .limit = 4 * MiB});
    auto one = small.make(picture(20, 64), "one"), two = small.make(picture(64, 64), "two");
    REQUIRE((one && two));
    CHECK((*one)->memory()->fd() == (*two)->memory()->fd());
    const auto fill = [](Buffer& buffer, int value) {
        auto mapping = buffer.map(Access::write, Deadline::in(1s));
        REQUIRE(mapping);
        std::memset(mapping->plane(0).data(), value, mapping->plane(0).size());
    };
    fill(**one, 0x11);
    fill(**two, 0x22);
    for (const auto& [buffer, value] : {std::pair(*one, 0x11), std::pair(*two, 0x22)}) {
        auto handle = buffer->export_dmabuf();
        REQUIRE(handle);
        auto facts = inspect_fd(handle->fd());
        REQUIRE(facts);
        CHECK(facts->kind == MemoryKind::dmabuf);
        CHECK(facts->size == (buffer->layout().size() + 4095) / 4096 * 4096);
        auto seen = import_fd(UniqueFd(dup(handle->fd())));
        REQUIRE(seen);
        auto bytes = (*seen)->view(Access::read);
        REQUIRE(bytes);
        CHECK((*bytes)[0] == static_cast<std::byte>(value));
        CHECK((*bytes)[buffer->layout().plane_bytes(0) - 1] == static_cast<std::byte>(value));
    }
    auto first = (*one)->export_dmabuf(), second = (*two)->export_dmabuf();
    REQUIRE((first && second));
    CHECK_FALSE(inspect_fd(first->fd())->inode == inspect_fd(second->fd())->inode);
}
