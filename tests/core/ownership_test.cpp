// SPDX-License-Identifier: MIT
// The law of one buffer, with an invented arbiter and watcher.
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "core/ownership.hpp"
#include "process.hpp"

using namespace share;
using namespace share::detail;
using namespace std::chrono_literals;

namespace {

struct FakeArbiter final : Arbiter {
    std::vector<std::string> calls;
    std::optional<Error> refuse;
    bool out_of_memory = false;
    Deadline seen = Deadline::none();
    Result<void> acquire(Access access, Deadline deadline) override {
        seen = deadline;
        if (out_of_memory) throw std::bad_alloc();
        if (refuse) return *refuse;
        calls.emplace_back(writes(access) ? "write" : "read");
        return {};
    }
    Result<void> downgrade() override {
        if (refuse) return *refuse;
        calls.emplace_back("downgrade");
        return {};
    }
    void release(Access access) noexcept override {
        calls.emplace_back(writes(access) ? "unwrite" : "unread");
    }
};

/// Another process reads, until a reader of this one has come.
struct RingArbiter final : Arbiter {
    std::mutex lock;
    std::condition_variable changed;
    bool writer_asked = false, other_reads = true;
    Result<void> acquire(Access access, Deadline deadline) override {
        std::unique_lock guard(lock);
        (writes(access) ? writer_asked : other_reads) = writes(access);
        changed.notify_all();
        if (!writes(access) || changed.wait_until(guard, deadline.when(), [&] { return !other_reads; }))
            return {};
        return make_error(Code::busy, {}, "process 7 still reads it");
    }
    Result<void> downgrade() override { return {}; }
    void release(Access) noexcept override {}
};

struct FakeWatcher final : AccessWatcher {
    std::vector<std::string> calls;
    std::optional<Error> refuse;
    std::atomic<int> wants = 0;
    Result<void> cpu_begins(Access access, Deadline) override {
        if (refuse) return *refuse;
        calls.emplace_back(writes(access) ? "cpu writes" : "cpu reads");
        return {};
    }
    void cpu_ended() noexcept override { calls.emplace_back("cpu ended"); }
    Result<void> device_begins(Access access, const std::string& who, Deadline) override {
        if (refuse) return *refuse;
        calls.emplace_back(who + (writes(access) ? " writes" : " reads"));
        return {};
    }
    void device_ended() noexcept override { calls.emplace_back("device ended"); }
    void wanted() noexcept override { ++wants; }
};

using Calls = std::vector<std::string>;

} // namespace

TEST_CASE("a hold asks the arbiter after this process and before the watcher", "[ownership]") {
    Ownership owner;
    auto arbiter = std::make_shared<FakeArbiter>();
    auto watcher = std::make_shared<FakeWatcher>();
    REQUIRE(owner.set_arbiter(arbiter));
    REQUIRE(owner.set_watcher(watcher));
    const auto deadline = Deadline::in(Ownership::courtesy);

    REQUIRE(owner.acquire(Holder::device, Access::write, "camera", deadline));
    CHECK(arbiter->seen.when() == deadline.when());
    CHECK_FALSE(owner.acquire(Holder::cpu, Access::read, {}, Deadline::none()));
    CHECK(arbiter->calls == Calls{"write"}); // refused inside the process: nobody else was asked
    owner.release(Holder::device, Access::write, "camera");
    CHECK(arbiter->calls == Calls{"write", "unwrite"});
    CHECK(watcher->calls == Calls{"camera writes", "device ended"});
    CHECK(owner.idle());
}

TEST_CASE("what an arbiter or a watcher refuses leaves nothing held", "[ownership]") {
    Ownership owner;
    auto arbiter = std::make_shared<FakeArbiter>();
    auto watcher = std::make_shared<FakeWatcher>();
    REQUIRE(owner.set_arbiter(arbiter));
    REQUIRE(owner.set_watcher(watcher));

    arbiter->refuse = make_error(Code::busy, {}, "process 7 still holds it");
    auto refused = owner.acquire(Holder::cpu, Access::write, {}, Deadline::none());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().detail == "process 7 still holds it");
    CHECK(owner.idle());
    CHECK(watcher->calls.empty());

    arbiter->refuse.reset();
    watcher->refuse = make_error(Code::unsupported, {}, "no");
    CHECK_FALSE(owner.acquire(Holder::cpu, Access::write, {}, Deadline::none()));
    CHECK(arbiter->calls == Calls{"write", "unwrite"});
    CHECK(owner.idle());

    watcher->refuse.reset();
    arbiter->out_of_memory = true;
    CHECK_THROWS_AS(owner.acquire(Holder::device, Access::read, "x", Deadline::none()), std::bad_alloc);
    CHECK(owner.idle());
    arbiter->out_of_memory = false;
    CHECK(owner.acquire(Holder::cpu, Access::write, {}, Deadline::none()));
}

TEST_CASE("a writer that waits for another process lets in the reader which that one waits for",
          "[ownership]") {
    Ownership owner;
    auto arbiter = std::make_shared<RingArbiter>();
    REQUIRE(owner.set_arbiter(arbiter));
    std::atomic<bool> written = false;
    {
        std::jthread writer([&] {
            written = owner.acquire(Holder::cpu, Access::write, {}, Deadline::in(60s)).ok();
            if (written) owner.release(Holder::cpu, Access::write, {});
        });
        {
            std::unique_lock guard(arbiter->lock);
            REQUIRE(arbiter->changed.wait_for(guard, 20s, [&] { return arbiter->writer_asked; }));
        }
        const auto read = owner.acquire(Holder::device, Access::read, "reader", Deadline::in(20s));
        CHECK(read);
        CHECK_FALSE(written);
        if (read) owner.release(Holder::device, Access::read, "reader");
    }
    CHECK(written);
    CHECK(owner.idle());
    CHECK_FALSE(owner.contended());
}

TEST_CASE("the watcher hears of the first hold of a kind and of the last", "[ownership]") {
    Ownership owner;
    auto watcher = std::make_shared<FakeWatcher>();
    REQUIRE(owner.set_watcher(watcher));
    CHECK_FALSE(owner.set_watcher(std::make_shared<FakeWatcher>()));
    for (int i = 0; i < 3; ++i)
        REQUIRE(owner.acquire(Holder::cpu, Access::read, {}, Deadline::none()));
    for (const auto* who : {"kms", "encoder"})
        REQUIRE(owner.acquire(Holder::device, Access::read, who, Deadline::none()));
    owner.release(Holder::device, Access::read, "kms");
    for (int i = 0; i < 3; ++i)
        owner.release(Holder::cpu, Access::read, {});
    owner.release(Holder::device, Access::read, "encoder");
    CHECK(watcher->calls == Calls{"cpu reads", "kms reads", "cpu ended", "device ended"});

    REQUIRE(owner.acquire(Holder::cpu, Access::write, {}, Deadline::none()));
    CHECK_FALSE(owner.acquire(Holder::device, Access::read, "kms", Deadline::in(1ms)));
    CHECK(watcher->wants == 1);
    CHECK_FALSE(owner.contended());
    REQUIRE(owner.set_watcher(nullptr)); // goes whoever holds the buffer
    const auto heard = watcher->calls.size();
    owner.release(Holder::cpu, Access::write, {});
    CHECK(watcher->calls.size() == heard);
}

TEST_CASE("a hand-over leaves no moment for another writer", "[ownership]") {
    Ownership owner;
    auto arbiter = std::make_shared<FakeArbiter>();
    auto watcher = std::make_shared<FakeWatcher>();
    REQUIRE(owner.set_arbiter(arbiter));
    REQUIRE(owner.set_watcher(watcher));
    REQUIRE(owner.acquire(Holder::cpu, Access::read_write, {}, Deadline::none()));

    arbiter->refuse = make_error(Code::io, {}, "no");
    CHECK_FALSE(owner.hand_over(Holder::cpu, {}, "wire"));
    CHECK_FALSE(owner.acquire(Holder::cpu, Access::read, {}, Deadline::none())); // it writes as before
    arbiter->refuse.reset();

    REQUIRE(owner.hand_over(Holder::cpu, {}, "wire"));
    auto writer = owner.acquire(Holder::cpu, Access::write, {}, Deadline::none());
    REQUIRE_FALSE(writer);
    CHECK(writer.error().detail.find("wire") != std::string::npos);
    REQUIRE(owner.acquire(Holder::device, Access::read, "kms", Deadline::none()));
    owner.release(Holder::device, Access::read, "wire");
    owner.release(Holder::device, Access::read, "kms");
    CHECK(arbiter->calls == Calls{"write", "downgrade", "read", "unread", "unread"});
    CHECK(watcher->calls ==
          Calls{"cpu writes", "wire reads", "device ended", "wire reads", "cpu ended", "device ended"});
    CHECK(owner.idle());
}

TEST_CASE("a consistent buffer excludes nobody, and still knows whether it is idle", "[ownership]") {
    Ownership owner(Sharing::consistent);
    CHECK_FALSE(owner.set_watcher(std::make_shared<FakeWatcher>()));
    REQUIRE(owner.acquire(Holder::cpu, Access::write, {}, Deadline::none()));
    REQUIRE(owner.acquire(Holder::device, Access::write, "camera", Deadline::none()));
    REQUIRE(owner.acquire(Holder::cpu, Access::read, {}, Deadline::none()));
    owner.release(Holder::cpu, Access::write, {});
    owner.release(Holder::cpu, Access::read, {});
    CHECK_FALSE(owner.idle());
    owner.release(Holder::device, Access::write, "camera");
    CHECK(owner.idle());
}

TEST_CASE("overlapping readers do not keep a writer out for ever", "[ownership]") {
    Ownership owner;
    std::atomic<bool> stop = false;
    const auto reader = [&] {
        while (!stop) {
            if (!owner.acquire(Holder::device, Access::read, "reader", Deadline::in(10s))) continue;
            std::this_thread::sleep_for(2ms);
            owner.release(Holder::device, Access::read, "reader");
        }
    };
    REQUIRE(owner.acquire(Holder::device, Access::read, "first", Deadline::none()));
    std::jthread a(reader), b(reader), c(reader);
    std::jthread first([&] {
        std::this_thread::sleep_for(5ms);
        owner.release(Holder::device, Access::read, "first");
    });
    for (int i = 0; i < 3; ++i) {
        auto got = owner.acquire(Holder::cpu, Access::write, {}, Deadline::in(60s));
        CHECK(got);
        if (got) owner.release(Holder::cpu, Access::write, {});
    }
    stop = true;
}

TEST_CASE("a reader joins others for as long as a writer has not waited long", "[ownership]") {
    Ownership owner;
    REQUIRE(owner.acquire(Holder::device, Access::read, "a", Deadline::none()));
    std::jthread writer([&] {
        if (owner.acquire(Holder::cpu, Access::write, {}, Deadline::in(60s)))
            owner.release(Holder::cpu, Access::write, {});
    });
    const auto began = std::chrono::steady_clock::now(); // before the writer waits
    const bool let_in = owner.acquire(Holder::device, Access::read, "b", Deadline::none()).ok();
    if (std::chrono::steady_clock::now() - began < Ownership::patience) CHECK(let_in);
    REQUIRE(testing::eventually([&] { return owner.contended(); }));
    std::this_thread::sleep_for(Ownership::patience + 1ms);
    auto late = owner.acquire(Holder::device, Access::read, "c", Deadline::none());
    REQUIRE_FALSE(late); // now the writer comes first
    CHECK(late.error().code == Code::busy);
    if (let_in) owner.release(Holder::device, Access::read, "b");
    owner.release(Holder::device, Access::read, "a");
}

TEST_CASE("a writer that comes again at once does not keep a reader out for ever", "[ownership]") {
    Ownership owner;
    std::atomic<bool> stop = false;
    std::jthread writer([&] {
        while (!stop)
            if (owner.acquire(Holder::cpu, Access::write, {}, Deadline::in(10s))) {
                std::this_thread::sleep_for(100us);
                owner.release(Holder::cpu, Access::write, {});
            }
    });
    for (int i = 0; i < 3; ++i) {
        auto got = owner.acquire(Holder::device, Access::read, "reader", Deadline::in(60s));
        CHECK(got);
        if (got) owner.release(Holder::device, Access::read, "reader");
    }
    stop = true;
}
