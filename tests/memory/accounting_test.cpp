// SPDX-License-Identifier: MIT
// MemoryLimits of this process, and dma-bufs that are kept for a grace time. The memory is a memfd that hands
// out duplicates of itself as "dma-bufs": what is looked at here is when they are made and closed.
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <share/accounting.hpp>
#include <share/buffer.hpp>
#include <share/heap.hpp>
#include <share/import.hpp>

#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t page = 4096;

/// MemoryLimits and grace time as at the start, afterwards.
struct Settings {
    Settings() {
        trim_pins();
        set_memory_limits({});
        before = memory_usage(); // without what rested
    }
    ~Settings() {
        trim_pins();
        set_memory_limits({});
        set_pin_grace(100ms);
    }
    Settings(const Settings&) = delete;
    Settings& operator=(const Settings&) = delete;
    MemoryUsage before;
};

class PinnableMemory final : public Memory {
public:
    explicit PinnableMemory(std::shared_ptr<Memory> file, bool swappable = true)
        : Memory(file->size(), "pinnable", "test", file->traits()), file_(std::move(file)) {
        traits_.swappable = swappable;
    }
    Result<UniqueFd> export_dmabuf(std::uint64_t, std::uint64_t) override {
        ++made;
        return UniqueFd(fcntl(file_->fd(), F_DUPFD_CLOEXEC, 3));
    }
    int made = 0;

protected:
    Result<std::span<std::byte>> do_map(Access) override {
        return make_error(Code::unsupported, "mapping", "nobody does here");
    }

private:
    std::shared_ptr<Memory> file_;
};

/// Gives four pages more often than it was asked for, as devices with alignments of their own do.
class UnswappableHeap final : public Heap {
public:
    std::string_view name() const noexcept override { return "unswappable"; }
    Traits traits() const noexcept override { return {}; }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t, std::string_view name,
                                                const AllocateOptions&) override {
        auto table = HeapTable::probe();
        auto memfd = table.find("memfd");
        auto file = (*memfd)->allocate(4 * page, name);
        if (!file) return file;
        return std::shared_ptr<Memory>(std::make_shared<PinnableMemory>(*file));
    }
};

struct Pinnable {
    std::shared_ptr<PinnableMemory> memory;
    std::shared_ptr<Buffer> buffer;
};

Pinnable make_pinnable(std::uint64_t pages = 1, bool swappable = true) {
    auto table = HeapTable::probe();
    auto heap = table.find("memfd");
    REQUIRE(heap);
    auto layout = Layout::linear(1024, static_cast<std::uint32_t>(pages), format::xrgb8888);
    REQUIRE(layout);
    REQUIRE(layout->size() == pages * page);
    auto file = (*heap)->allocate(layout->size(), "accounting");
    REQUIRE(file);
    Pinnable made;
    made.memory = std::make_shared<PinnableMemory>(*file, swappable);
    auto buffer = Buffer::create(made.memory, 0, *layout);
    REQUIRE(buffer);
    made.buffer = *buffer;
    return made;
}

/// Threads of ours that end grace times.
int reapers() {
    int count = 0;
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
        std::string name;
        std::getline(std::ifstream(task.path() / "comm"), name);
        count += name == "share-pins" ? 1 : 0;
    }
    return count;
}
bool reapers_become(int count) {
    return testing::eventually([count] { return reapers() == count; });
}

} // namespace

TEST_CASE("a charge counts until its end, moves without being counted twice, and is all or nothing",
          "[accounting]") {
    const Settings settings;
    const auto& [total, pinned] = settings.before;
    {
        auto charge = detail::Charge::take(10, 3, "testing");
        REQUIRE(charge);
        CHECK(memory_usage() == MemoryUsage{total + 10, pinned + 3});
        detail::Charge moved = std::move(*charge);
        CHECK(memory_usage() == MemoryUsage{total + 10, pinned + 3});
        set_memory_limits({.total_bytes = total + 100, .pinned_bytes = pinned + 5});
        CHECK_FALSE(detail::Charge::take(10, 3, "testing"));
        CHECK(memory_usage() == MemoryUsage{total + 10, pinned + 3});
        CHECK_FALSE(detail::Charge::take(91, 0, "testing"));
        CHECK(detail::Charge::take(90, 2, "testing"));
        CHECK_FALSE(detail::Charge::take(UINT64_MAX, 0, "testing"));
        CHECK(detail::Charge::take(0, 0, "testing"));
    }
    CHECK(memory_usage() == settings.before);
}

TEST_CASE("a size that no file can have is refused before it counts, without limits too", "[accounting]") {
    const Settings settings;
    for (const std::uint64_t bytes :
         {std::uint64_t{INT64_MAX} + 1, UINT64_MAX - settings.before.total_bytes}) {
        auto all = detail::Charge::take(bytes, 0, "testing"),
             pinned = detail::Charge::take(0, bytes, "testing");
        REQUIRE_FALSE(all);
        REQUIRE_FALSE(pinned);
        CHECK(all.error().code == Code::limit);
        CHECK(pinned.error().code == Code::limit);
    }
    CHECK(memory_usage() == settings.before);
}

TEST_CASE("an error of a limit names the limit, the use and what to do", "[accounting]") {
    const Settings settings;
    auto held = detail::Charge::take(1000, 1000, "testing");
    REQUIRE(held);
    const auto now = memory_usage();
    set_memory_limits({.total_bytes = now.total_bytes + 1, .pinned_bytes = now.pinned_bytes + 1});
    auto all = detail::Charge::take(2, 0, "allocating it");
    REQUIRE_FALSE(all);
    CHECK(all.error().code == Code::limit);
    const auto text = all.error().text();
    CHECK(text.starts_with("allocating it: "));
    CHECK(text.find("limit of " + std::to_string(now.total_bytes + 1)) != std::string::npos);
    CHECK(text.find(std::to_string(now.total_bytes) + " are in use") != std::string::npos);
    CHECK(text.find("set_memory_limits") != std::string::npos);
    auto unswappable = detail::Charge::take(0, 2, "pinning it");
    REQUIRE_FALSE(unswappable);
    CHECK(unswappable.error().text().find(std::to_string(now.pinned_bytes) + " are in use") !=
          std::string::npos);
}

TEST_CASE(
    "the memory of a heap counts to its end, rounded to pages, and what is over a limit is not allocated",
    "[accounting]") {
    const Settings settings;
    auto table = HeapTable::probe();
    const auto fds = testing::count_fds();
    for (const auto* name : {"memfd", "sysv"}) {
        auto heap = table.find(name);
        REQUIRE(heap);
        auto memory = (*heap)->allocate(page + 1, "counted");
        REQUIRE(memory);
        CHECK(memory_usage() ==
              MemoryUsage{settings.before.total_bytes + 2 * page, settings.before.pinned_bytes});
        set_memory_limits({.total_bytes = settings.before.total_bytes + 3 * page});
        auto refused = (*heap)->allocate(page + 1, "too much");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::limit);
        CHECK(refused.error().text().find("'too much'") != std::string::npos);
        CHECK((*heap)->allocate(page, "fits"));
        set_memory_limits({});
    }
    CHECK(memory_usage() == settings.before);
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("memory that cannot be swapped counts as pinned from its allocation, by the size that it has",
          "[accounting]") {
    const Settings settings;
    UnswappableHeap heap;
    {
        auto memory = heap.allocate(page, "pinned");
        REQUIRE(memory);
        CHECK((*memory)->size() == 4 * page);
        CHECK(memory_usage() ==
              MemoryUsage{settings.before.total_bytes + 8 * page, settings.before.pinned_bytes + 4 * page});
        set_memory_limits({.pinned_bytes = settings.before.pinned_bytes + 6 * page});
        CHECK_FALSE(heap.allocate(page, "too much"));
        CHECK(memory_usage() ==
              MemoryUsage{settings.before.total_bytes + 8 * page, settings.before.pinned_bytes + 4 * page});
    }
    CHECK(memory_usage() == settings.before);
}

TEST_CASE("a dma-buf of memory that cannot be swapped pins nothing more, and rests all the same",
          "[accounting][pins]") {
    const Settings settings;
    set_pin_grace(1h);
    const auto [memory, buffer] = make_pinnable(3, false);
    const auto before = memory_usage();
    for (int frame = 0; frame < 2; ++frame) {
        auto handle = buffer->export_dmabuf();
        REQUIRE(handle);
        CHECK(buffer->pinned());
        CHECK(memory_usage() == before);
    }
    CHECK(memory->made == 1);
    CHECK(trim_pins() == 0);
    CHECK_FALSE(buffer->pinned());
    CHECK(memory_usage() == before);
}

TEST_CASE("imported memory is its maker's and counts for nothing", "[accounting]") {
    const Settings settings;
    auto table = HeapTable::probe();
    auto heap = table.find("memfd");
    REQUIRE(heap);
    auto own = (*heap)->allocate(page, "own");
    REQUIRE(own);
    auto imported = import_fd(UniqueFd(fcntl((*own)->fd(), F_DUPFD_CLOEXEC, 3)));
    REQUIRE(imported);
    REQUIRE((*imported)->view(Access::read_write));
    CHECK(memory_usage().total_bytes == settings.before.total_bytes + page);
}

TEST_CASE("threads that charge at the same time never pass the limit together", "[accounting]") {
    const Settings settings;
    const auto limit = settings.before.pinned_bytes + 20;
    set_memory_limits({.pinned_bytes = limit});
    std::atomic<int> taken{0};
    std::atomic<bool> passed{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 500; ++i) {
                auto charge = detail::Charge::take(0, 7, "testing");
                if (charge) ++taken;
                if (memory_usage().pinned_bytes > limit) passed = true;
            }
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(taken > 0);
    CHECK_FALSE(passed);
    CHECK(memory_usage() == settings.before);
}

TEST_CASE("a dma-buf pins from the first handle to the end of the grace time, and is made once meanwhile",
          "[accounting][pins]") {
    const Settings settings;
    const auto fds = testing::count_fds();
    set_pin_grace(1h);
    {
        const auto [memory, buffer] = make_pinnable(3);
        const auto pinned = settings.before.pinned_bytes;
        for (int frame = 0; frame < 5; ++frame) {
            auto handle = buffer->export_dmabuf();
            REQUIRE(handle);
            auto again = buffer->export_dmabuf();
            REQUIRE(again);
            CHECK(handle->fd() == again->fd());
            CHECK(memory_usage().pinned_bytes == pinned + 3 * page);
        }
        CHECK(memory->made == 1);
        CHECK(buffer->pinned());
        CHECK(memory_usage().pinned_bytes == pinned + 3 * page);
        CHECK(trim_pins() == 3 * page);
        CHECK_FALSE(buffer->pinned());
        CHECK(memory_usage().pinned_bytes == pinned);
        auto handle = buffer->export_dmabuf();
        REQUIRE(handle);
        CHECK(memory->made == 2);
        CHECK(trim_pins() == 0); // somebody holds it
        CHECK(buffer->pinned());
    }
    CHECK(memory_usage().pinned_bytes == settings.before.pinned_bytes);
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("the grace time ends by itself, and the thread that ended it is gone then", "[accounting][pins]") {
    const Settings settings;
    REQUIRE(reapers_become(0)); // of the test before
    const auto [memory, buffer] = make_pinnable();
    set_pin_grace(1h);
    REQUIRE(buffer->export_dmabuf());
    CHECK(reapers_become(1)); // it names itself
    SECTION("also when a shorter one begins while a long one runs") {
        const auto other = make_pinnable();
        set_pin_grace(1ms);
        REQUIRE(other.buffer->export_dmabuf());
        CHECK(testing::eventually([&] { return !other.buffer->pinned(); }));
        CHECK(buffer->pinned());
        CHECK(reapers() == 1);
    }
    SECTION("and after it is given up") {}
    trim_pins();
    CHECK_FALSE(buffer->pinned());
    CHECK(reapers_become(0));
    set_pin_grace(1ms);
    REQUIRE(buffer->export_dmabuf());
    CHECK(testing::eventually([&] { return !buffer->pinned(); }));
    CHECK(reapers_become(0));
}

TEST_CASE("without grace time a dma-buf goes with its last handle, and no thread is made",
          "[accounting][pins]") {
    const Settings settings;
    REQUIRE(reapers_become(0));
    set_pin_grace(0ms);
    const auto [memory, buffer] = make_pinnable();
    for (int i = 0; i < 3; ++i) {
        auto first = buffer->export_dmabuf();
        auto second = buffer->export_dmabuf();
        REQUIRE((first && second));
        first = make_error(Code::io, "", "");
        CHECK(buffer->pinned());
        second = make_error(Code::io, "", "");
        CHECK_FALSE(buffer->pinned());
    }
    CHECK(memory->made == 3);
    CHECK(reapers() == 0);
}

TEST_CASE("a pin that only waits for its grace to end makes room for a new one, a held one does not",
          "[accounting][pins]") {
    const Settings settings;
    set_pin_grace(1h);
    const auto old = make_pinnable(4), next = make_pinnable(4);
    set_memory_limits({.pinned_bytes = settings.before.pinned_bytes + 6 * page});
    auto held = old.buffer->export_dmabuf();
    REQUIRE(held);
    auto refused = next.buffer->export_dmabuf();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::limit);
    CHECK(refused.error().text().find("pinning a 1024x4") != std::string::npos);
    CHECK(next.memory->made == 0);
    held = make_error(Code::io, "", "");
    CHECK(old.buffer->pinned());
    CHECK(next.buffer->export_dmabuf());
    CHECK_FALSE(old.buffer->pinned());
    CHECK(next.buffer->pinned());
}

TEST_CASE("a pin that could not be made is not counted", "[accounting][pins]") {
    const Settings settings;
    auto table = HeapTable::probe();
    auto heap = table.find("memfd");
    REQUIRE(heap);
    auto layout = Layout::linear(64, 64, format::xrgb8888);
    REQUIRE(layout);
    auto memory = (*heap)->allocate(layout->size(), "no dma-buf");
    REQUIRE(memory);
    auto buffer = Buffer::create(*memory, 0, *layout);
    REQUIRE(buffer);
    CHECK_FALSE((*buffer)->export_dmabuf());
    CHECK(memory_usage().pinned_bytes == settings.before.pinned_bytes);
}

TEST_CASE("a handle outlives its buffer, and nothing rests after both", "[accounting][pins]") {
    const Settings settings;
    const auto fds = testing::count_fds();
    set_pin_grace(1h);
    {
        auto made = make_pinnable();
        auto handle = made.buffer->export_dmabuf();
        REQUIRE(handle);
        made.buffer.reset();
        CHECK(memory_usage().pinned_bytes == settings.before.pinned_bytes + page);
        CHECK(fcntl(handle->fd(), F_GETFD) >= 0);
    }
    CHECK(memory_usage() == settings.before);
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("threads that take and drop one buffer's dma-buf while others trim leave nothing behind",
          "[accounting][pins]") {
    const Settings settings;
    const auto fds = testing::count_fds();
    set_pin_grace(1ms);
    {
        const auto [memory, buffer] = make_pinnable();
        std::atomic<bool> wrong{false};
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&, b = buffer] {
                for (int i = 0; i < 300; ++i) {
                    auto handle = b->export_dmabuf();
                    if (!handle || fcntl(handle->fd(), F_GETFD) < 0) wrong = true;
                    if (i % 16 == 0) trim_pins();
                }
            });
        for (auto& thread : threads)
            thread.join();
        CHECK_FALSE(wrong);
        CHECK(testing::eventually([b = buffer] { return !b->pinned(); }));
    }
    CHECK(memory_usage() == settings.before);
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("a forked child gives up what rests, keeps what is held, and its own pins rest and end",
          "[accounting][pins]") {
#if defined(__SANITIZE_THREAD__)
    SKIP("ThreadSanitizer allows no new thread in the child of a process with threads");
#endif
    const Settings settings;
    set_pin_grace(1h);
    const auto resting = make_pinnable(), held = make_pinnable();
    REQUIRE(resting.buffer->export_dmabuf());
    auto handle = held.buffer->export_dmabuf();
    REQUIRE(handle);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        alarm(20);
        if (resting.buffer->pinned() || !held.buffer->pinned()) _exit(1);
        if (memory_usage().pinned_bytes != settings.before.pinned_bytes + page) _exit(2);
        set_pin_grace(1ms);
        if (!resting.buffer->export_dmabuf()) _exit(3);
        _exit(testing::eventually([&] { return !resting.buffer->pinned(); }) ? 0 : 4);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(resting.buffer->pinned());
}
