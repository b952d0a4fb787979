// SPDX-License-Identifier: MIT
// Guards of buffers whose ownership is shared with another process, a real one, by the kernel's record locks.
#include <catch2/catch_test_macros.hpp>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include <fmt/format.h>

#include <share/guard.hpp>
#include <share/import.hpp>
#include <share/ownership.hpp>
#include <share/pool.hpp>

#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

struct Frames {
    Frames()
        : heaps(HeapTable::probe()),
          pool(Pool::create(*heaps.find("memfd").value(), Layout::linear(64, 64, format::xrgb8888).value(), 2,
                            "guard process test")
                   .value()),
          buffer(pool.buffer(1)),
          words(reinterpret_cast<std::uint32_t*>(pool.memory()->view(Access::read_write).value().data() +
                                                 buffer->offset())) {}
    /// Without a bracket. Relaxed: see guard_mechanism_test.cpp.
    void write(std::uint32_t index, std::uint32_t value) const {
        std::atomic_ref(words[index]).store(value, std::memory_order_relaxed);
    }
    HeapTable heaps;
    Pool pool;
    std::shared_ptr<Buffer> buffer;
    std::uint32_t* words;
};

/// The other process: has imported the memory, shares the ownership, and does `body` with its own Buffer.
/// It has begun once the constructor returns.
class Other {
public:
    Other(const Frames& frames,
          const std::function<int(Buffer&, const std::atomic_ref<std::uint32_t>&, int)>& body) {
        REQUIRE(pipe(said_) == 0);
        auto handle = frames.buffer->export_memfd().value();
        pid_ = fork();
        if (pid_ == 0) _exit(run(std::move(handle), body));
        close(said_[1]);
    }
    ~Other() {
        if (pid_ > 0) (void)kill_and_wait();
        close(said_[0]);
    }
    Other(const Other&) = delete;
    Other& operator=(const Other&) = delete;
    pid_t pid() const { return pid_; }
    void wait_for_word() const {
        char byte = 0;
        REQUIRE(read(said_[0], &byte, 1) == 1);
    }
    int wait() {
        int status = -1;
        REQUIRE(waitpid(pid_, &status, 0) == pid_);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    int kill_and_wait() {
        kill(pid_, SIGKILL);
        int status = -1;
        waitpid(pid_, &status, 0);
        pid_ = -1;
        return status;
    }

private:
    int run(MemfdHandle handle, const auto& body) {
        auto memory = import_fd(std::move(handle.fd));
        if (!memory) return 101;
        auto buffer = Buffer::create(*memory, handle.offset, handle.layout);
        if (!buffer || !share_ownership(**buffer)) return 102;
        auto view = (*memory)->view(Access::read_write);
        if (!view) return 103;
        return body(**buffer,
                    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(view->data() + handle.offset)),
                    said_[1]);
    }
    int said_[2] = {-1, -1};
    pid_t pid_ = -1;
};

Guard guard_of(const std::shared_ptr<Buffer>& buffer, GuardOptions options = {}) {
    if (auto shared = share_ownership(*buffer); !shared) FAIL(shared.error().text());
    auto guard = Guard::create(buffer, std::move(options));
    if (!guard && guard.error().code == Code::unavailable) SKIP("userfaultfd: " << guard.error().text());
    if (!guard) FAIL(guard.error().text());
    return std::move(*guard);
}

} // namespace

TEST_CASE(
    "another process holds the buffer: an unbracketed write waits, is reported with the holder, and goes on "
    "when that process is killed") {
    const auto fds = testing::count_fds();
    {
        const Frames frames;
        Other other(frames, [](Buffer& buffer, const std::atomic_ref<std::uint32_t>& word, int say) {
            auto attachment = buffer.attach(Access::write, "a device", Deadline::in(20s));
            if (!attachment) return 104;
            word.store(7, std::memory_order_relaxed);
            (void)!::write(say, "x", 1);
            for (;;)
                pause();
        });
        other.wait_for_word();
        std::mutex lock;
        std::string told;
        std::atomic<bool> named{false};
        const auto name = fmt::format("process {} (test-guard)", other.pid());
        GuardOptions options;
        options.report_after = 20ms;
        options.report = [&](const GuardReport& report) {
            const std::lock_guard guard(lock);
            told = report.text();
            named = named || told.find(name) != std::string::npos;
        };
        const auto guard = guard_of(frames.buffer, options);
        std::atomic<bool> done{false};
        std::thread writer([&] {
            frames.write(0, 8);
            done = true;
        });
        // Looking for the name gives up after some milliseconds, and is tried again for the next report.
        const bool came = testing::eventually([&] { return named.load(); });
        {
            const std::lock_guard guarded(lock);
            CAPTURE(told);
            CHECK(came);
        }
        CHECK_FALSE(done);
        const int status = other.kill_and_wait();
        CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
        writer.join();
        const auto mapping = frames.buffer->map(Access::read, Deadline::in(20s));
        REQUIRE(mapping);
        CHECK(frames.words[0] == 8);
        CHECK(testing::eventually([&] { return guard.counts().leases >= 1; }));
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("two processes take turns: a thread that never stops writes in none of the other's") {
    const Frames frames;
    Other other(frames, [](Buffer& buffer, const std::atomic_ref<std::uint32_t>& word, int say) {
        (void)!::write(say, "x", 1);
        int changed = 0;
        std::uint32_t last = 0, moved = 0;
        for (int turn = 0; turn < 60; ++turn) {
            auto attachment = buffer.attach(Access::write, "a device", Deadline::in(20s));
            if (!attachment) return 104;
            const auto before = word.load(std::memory_order_relaxed);
            if (before != last) ++moved;
            last = before;
            usleep(1000);
            if (word.load(std::memory_order_relaxed) != before) ++changed;
            attachment->release();
            usleep(6000); // longer than the guard waits between two tries
        }
        return changed != 0 ? 1 : moved < 2 ? 2 : 0;
    });
    const auto guard = guard_of(frames.buffer);
    other.wait_for_word();
    std::atomic<bool> stop{false};
    std::uint32_t written = 0;
    std::thread writer([&] {
        while (!stop.load(std::memory_order_relaxed))
            frames.write(0, ++written);
    });
    CHECK(other.wait() == 0);
    stop = true;
    writer.join();
    const auto mapping = frames.buffer->map(Access::read, Deadline::in(20s));
    REQUIRE(mapping);
    CHECK(frames.words[0] == written);
    CHECK(guard.counts().leases > 1);
    CHECK(guard.counts().held > 1);
}
