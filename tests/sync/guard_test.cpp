// SPDX-License-Identifier: MIT
// Guards over real buffers of a pool: attachments of this process, and a stand-in for other processes.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <share/guard.hpp>
#include <share/import.hpp>
#include <share/pool.hpp>

#include "core/buffer_access.hpp"
#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

Deadline soon() {
    return Deadline::in(20s);
}

/// Three buffers of 5 pages in one memfd; the guarded one is in the middle.
struct Frames {
    Frames()
        : heaps(HeapTable::probe()),
          pool(Pool::create(*heaps.find("memfd").value(), Layout::linear(64, 80, format::xrgb8888).value(), 3,
                            "guard test")
                   .value()),
          buffer(pool.buffer(1)) {
        view = pool.memory()->view(Access::read_write).value();
    }
    /// What anybody without a bracket does. Relaxed: see guard_mechanism_test.cpp.
    std::atomic_ref<std::uint32_t> word(std::uint32_t index, std::size_t in_buffer = 1) const {
        auto* words = reinterpret_cast<std::uint32_t*>(view.data() + pool.buffer(in_buffer)->offset());
        return std::atomic_ref(words[index]);
    }
    void write(std::uint32_t index, std::uint32_t value) const {
        word(index).store(value, std::memory_order_relaxed);
    }
    std::uint32_t read(std::uint32_t index) const { return word(index).load(std::memory_order_relaxed); }

    HeapTable heaps;
    Pool pool;
    std::shared_ptr<Buffer> buffer;
    std::span<std::byte> view;
};

/// Another mapping of the same bytes: what a device sees.
class Device {
public:
    explicit Device(const Frames& frames) {
        auto handle = frames.buffer->export_memfd().value();
        map_ = static_cast<std::byte*>(
            mmap(nullptr, handle.file_size, PROT_READ | PROT_WRITE, MAP_SHARED, handle.fd.get(), 0));
        size_ = handle.file_size;
        at_ = map_ + handle.offset;
        REQUIRE(map_ != MAP_FAILED);
    }
    ~Device() { munmap(map_, size_); }
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    std::uint32_t read(std::uint32_t index) const { return word(index).load(std::memory_order_relaxed); }
    void write(std::uint32_t index, std::uint32_t value) const {
        word(index).store(value, std::memory_order_relaxed);
    }

private:
    std::atomic_ref<std::uint32_t> word(std::uint32_t index) const {
        return std::atomic_ref(reinterpret_cast<std::uint32_t*>(at_)[index]);
    }
    std::byte *map_ = nullptr, *at_ = nullptr;
    std::size_t size_ = 0;
};

Guard guard_of(const std::shared_ptr<Buffer>& buffer, GuardOptions options = {}) {
    auto guard = Guard::create(buffer, std::move(options));
    if (!guard && guard.error().code == Code::unavailable) SKIP("userfaultfd: " << guard.error().text());
    if (!guard) FAIL(guard.error().text());
    return std::move(*guard);
}

bool waits(const Guard& guard, std::uint64_t threads = 1) {
    return testing::eventually([&] { return guard.counts().waiting >= threads; });
}

Attachment attached(const std::shared_ptr<Buffer>& buffer, Access access, const char* who = "a device") {
    auto attachment = buffer->attach(access, who, soon());
    if (!attachment) FAIL(attachment.error().text());
    return std::move(*attachment);
}

struct Reports {
    GuardOptions options(GuardMode mode, std::chrono::milliseconds after) {
        GuardOptions made;
        made.mode = mode;
        made.report_after = after;
        made.report = [this](const GuardReport& report) {
            const std::lock_guard guard(lock);
            all.push_back(report);
        };
        return made;
    }
    std::size_t count() {
        const std::lock_guard guard(lock);
        return all.size();
    }
    std::mutex lock;
    std::vector<GuardReport> all;
};

/// Another process, played by the test: it holds the buffer, or not.
class OtherProcess final : public detail::Arbiter {
public:
    Result<void> acquire(Access, Deadline deadline) override {
        for (;;) {
            bool expected = false;
            if (held_.compare_exchange_strong(expected, true)) return {};
            if (deadline.passed()) return make_error(Code::busy, {}, "process 4711 (painter) still holds it");
            std::this_thread::sleep_for(1ms);
        }
    }
    Result<void> downgrade() override { return {}; }
    void release(Access) noexcept override { held_ = false; }
    /// The other process has it.
    void take() {
        REQUIRE(testing::eventually([&] {
            bool expected = false;
            return held_.compare_exchange_strong(expected, true);
        }));
    }
    void give() { held_ = false; }
    bool held() const { return held_; }

private:
    std::atomic<bool> held_{false};
};

std::shared_ptr<OtherProcess> shared_with_another(Buffer& buffer) {
    auto other = std::make_shared<OtherProcess>();
    REQUIRE(detail::BufferAccess::ownership(buffer).set_arbiter(other));
    return other;
}

} // namespace

TEST_CASE("while a device has the buffer an unbracketed write waits, and is not lost") {
    const auto fds = testing::count_fds();
    {
        Frames frames;
        const Device device(frames);
        const auto guard = guard_of(frames.buffer);
        CHECK(guard.means() == GuardMeans::userfaultfd);
        CHECK_FALSE(guard.fallback_reason());
        frames.write(0, 1);
        auto attachment = attached(frames.buffer, Access::read);
        std::thread writer([&] { frames.write(0, 2); });
        CHECK(waits(guard));
        CHECK(device.read(0) == 1);
        // The neighbours in the same memory are free.
        frames.word(0, 0).store(3, std::memory_order_relaxed);
        frames.word(0, 2).store(3, std::memory_order_relaxed);
        attachment.release();
        writer.join();
        CHECK(device.read(0) == 2);
        CHECK(guard.counts().taken == 1);
        CHECK(guard.counts().given == 1);
        CHECK(guard.counts().held >= 1);
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE(
    "threads that write without brackets lose nothing over 300 attachments, and change nothing meanwhile") {
    Frames frames;
    const Device device(frames);
    const auto guard = guard_of(frames.buffer);
    constexpr std::uint32_t pages = 5, words = 1024, writers = 2;
    std::atomic<bool> stop{false};
    std::array<std::uint32_t, writers> written{};
    std::vector<std::thread> threads;
    for (std::uint32_t w = 0; w < writers; ++w)
        threads.emplace_back([&, w] {
            for (std::uint32_t turn = 1; !stop.load(std::memory_order_relaxed); ++turn) {
                for (std::uint32_t p = 0; p < pages; ++p)
                    frames.write(p * words + w, turn);
                written[w] = turn;
            }
        });
    int changed = 0;
    for (int cycle = 0; cycle < 300; ++cycle) {
        const auto attachment = attached(frames.buffer, cycle % 2 == 0 ? Access::read : Access::write);
        const auto before = device.read(0);
        device.write(17, static_cast<std::uint32_t>(cycle));
        std::this_thread::yield();
        if (device.read(0) != before) ++changed;
    }
    stop = true;
    for (auto& thread : threads)
        thread.join();
    int lost = 0;
    for (std::uint32_t w = 0; w < writers; ++w)
        for (std::uint32_t p = 0; p < pages; ++p)
            if (device.read(p * words + w) != written[w]) ++lost;
    CHECK(lost == 0);
    CHECK(changed == 0);
    CHECK(frames.read(17) == 299);
    CHECK(guard.counts().taken == 300);
    CHECK(guard.counts().given == 300);
}

TEST_CASE("brackets of a guarded buffer work as ever, and no access of theirs waits") {
    Frames frames;
    const auto guard = guard_of(frames.buffer);
    for (std::uint32_t turn = 1; turn <= 20; ++turn) {
        {
            auto mapping = frames.buffer->map(Access::write, soon());
            REQUIRE(mapping);
            std::memset(mapping->plane(0).data(), static_cast<int>(turn), mapping->plane(0).size());
        }
        const auto attachment = attached(frames.buffer, Access::read);
        CHECK(frames.buffer->map(Access::write, Deadline::none()).error().code == Code::busy);
    }
    CHECK(guard.counts().held == 0);
    CHECK(frames.read(1000) == 20 * 0x01010101U);
}

TEST_CASE(
    "a bracket that reads beside a device that reads: it reads, and writers wait where the kernel can") {
    Frames frames;
    const Device device(frames);
    const auto guard = guard_of(frames.buffer);
    frames.write(5, 50);
    auto attachment = attached(frames.buffer, Access::read, "the display");
    {
        auto mapping = frames.buffer->map(Access::read, Deadline::none());
        if (!mapping) FAIL(mapping.error().text());
        if (guard.counts().unguarded > 0) {
            frames.write(5, 51); // goes through, and this is counted
            CHECK(guard.counts().unguarded == 1);
            CHECK(mapping->end());
            attachment.release();
            SKIP("tracking of writes to shared memory");
        }
        std::uint32_t seen = 0;
        std::memcpy(&seen, mapping->plane(0).data() + 20, sizeof seen);
        CHECK(seen == 50);
        std::thread writer([&] { frames.write(5, 51); });
        CHECK(waits(guard));
        CHECK(device.read(5) == 50);
        // The mapping's end is not yet the device's.
        CHECK(mapping->end());
        CHECK(waits(guard));
        CHECK(device.read(5) == 50);
        attachment.release();
        writer.join();
    }
    CHECK(device.read(5) == 51);
    // And the other way round: the device comes to a mapping.
    auto mapping = frames.buffer->map(Access::read, soon());
    REQUIRE(mapping);
    attachment = attached(frames.buffer, Access::read);
    std::thread writer([&] { frames.write(5, 52); });
    CHECK(waits(guard));
    CHECK(frames.read(5) == 51);
    attachment.release();
    writer.join();
    CHECK(device.read(5) == 52);
    CHECK(guard.counts().unguarded == 0);
}

TEST_CASE("a write that is handed over to a device leaves no moment in which the CPU could write") {
    Frames frames;
    const Device device(frames);
    const auto guard = guard_of(frames.buffer);
    std::atomic<bool> stop{false};
    std::uint32_t written = 0;
    std::thread writer([&] {
        while (!stop.load(std::memory_order_relaxed))
            frames.write(0, ++written);
    });
    int refused = 0, changed = 0;
    for (std::uint32_t turn = 0; turn < 200; ++turn) {
        auto mapping = frames.buffer->map(Access::write, soon());
        auto attachment = mapping ? mapping->hand_over("the display") : mapping.error();
        if (!attachment) {
            ++refused;
            continue;
        }
        const auto before = device.read(0);
        if (turn == 0) CHECK(waits(guard));
        if (turn % 20 == 0) std::this_thread::sleep_for(1ms);
        std::this_thread::yield();
        if (device.read(0) != before) ++changed;
    }
    stop = true;
    writer.join();
    CHECK(refused == 0);
    CHECK(changed == 0);
    CHECK(device.read(0) == written);
    CHECK(guard.counts().held > 0);
    CHECK(guard.counts().taken == 200);
}

TEST_CASE("an access that waits too long is reported with its holder, and goes on waiting") {
    Frames frames;
    const Device device(frames);
    Reports reports;
    const auto guard = guard_of(frames.buffer, reports.options(GuardMode::hold, 30ms));
    auto attachment = attached(frames.buffer, Access::read, "vivid");
    std::atomic<pid_t> thread{0};
    std::thread writer([&] {
        thread = gettid();
        frames.write(1030, 2);
    });
    CHECK(testing::eventually([&] { return reports.count() >= 2; }));
    CHECK(device.read(1030) == 0);
    attachment.release();
    writer.join();
    CHECK(device.read(1030) == 2);
    const std::lock_guard lock(reports.lock);
    const auto& report = reports.all.front();
    CHECK(report.what == GuardReport::What::still_held);
    CHECK(report.write);
    CHECK(report.thread == thread);
    CHECK(report.offset / 4096 == frames.buffer->offset() / 4096 + 1);
    CHECK(report.waited >= 30ms);
    CHECK_THAT(report.text(), ContainsSubstring("vivid still holds it"));
    CHECK_THAT(report.text(), ContainsSubstring("64x80"));
    CHECK_THAT(report.text(), ContainsSubstring("guard test"));
}

TEST_CASE("of two devices the one that is still there is reported") {
    Frames frames;
    Reports reports;
    const auto guard = guard_of(frames.buffer, reports.options(GuardMode::hold, 10ms));
    auto first = attached(frames.buffer, Access::read, "the display");
    auto second = attached(frames.buffer, Access::read, "the encoder");
    first.release();
    std::thread writer([&] { frames.write(0, 2); });
    CHECK(testing::eventually([&] { return reports.count() >= 1; }));
    second.release();
    writer.join();
    const std::lock_guard lock(reports.lock);
    REQUIRE_FALSE(reports.all.empty());
    CHECK_THAT(reports.all.front().text(), ContainsSubstring("the encoder still holds it"));
}

TEST_CASE("an imported file that ends within a page can be guarded") {
    const auto layout = Layout::linear(64, 39, format::xrgb8888).value();
    REQUIRE(layout.size() % 4096 != 0);
    const UniqueFd file(memfd_create("odd size", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(ftruncate(file.get(), static_cast<off_t>(layout.size())) == 0);
    REQUIRE(fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    auto memory = import_fd(UniqueFd(dup(file.get())));
    if (!memory) FAIL(memory.error().text());
    const auto buffer = Buffer::create(*memory, 0, layout).value();
    const auto guard = guard_of(buffer);
    auto view = (*memory)->view(Access::read_write).value();
    std::atomic_ref last(*reinterpret_cast<std::uint32_t*>(view.data() + layout.size() - 4));
    auto attachment = attached(buffer, Access::read);
    std::thread writer([&] { last.store(2, std::memory_order_relaxed); });
    CHECK(waits(guard));
    std::uint32_t seen = 9;
    CHECK(pread(file.get(), &seen, 4, static_cast<off_t>(layout.size() - 4)) == 4);
    CHECK(seen == 0);
    attachment.release();
    writer.join();
    CHECK(pread(file.get(), &seen, 4, static_cast<off_t>(layout.size() - 4)) == 4);
    CHECK(seen == 2);
}

TEST_CASE("mode report tells of the first wrong access of each attachment and lets it through") {
    Frames frames;
    const Device device(frames);
    Reports reports;
    const auto guard = guard_of(frames.buffer, reports.options(GuardMode::report, 0ms));
    for (std::uint32_t turn = 1; turn <= 2; ++turn) {
        const auto attachment = attached(frames.buffer, Access::read, "the encoder");
        std::thread writer([&] {
            frames.write(0, turn);
            frames.write(2048, turn);
        });
        writer.join();
        CHECK(device.read(2048) == turn);
        CHECK(testing::eventually([&] { return reports.count() == turn; }));
    }
    CHECK(guard.counts().reported == 2);
    const std::lock_guard lock(reports.lock);
    CHECK(reports.all[1].what == GuardReport::What::let_through);
    CHECK_THAT(reports.all[1].text(), ContainsSubstring("the encoder still holds it"));
    CHECK_THAT(reports.all[1].text(), ContainsSubstring("let through"));
}

TEST_CASE(
    "shared with other processes: an unbracketed access waits for them, gets a lease, and gives it back") {
    Frames frames;
    const Device device(frames);
    const auto other = shared_with_another(*frames.buffer);
    Reports reports;
    const auto guard = guard_of(frames.buffer, reports.options(GuardMode::hold, 30ms));
    other->take();
    std::thread writer([&] { frames.write(0, 2); });
    CHECK(testing::eventually([&] { return reports.count() >= 1; }));
    CHECK(device.read(0) == 0);
    other->give(); // or it was killed: the kernel frees its lock
    writer.join();
    CHECK(device.read(0) == 2);
    CHECK(testing::eventually([&] { return !other->held(); }));
    CHECK(testing::eventually([&] { return guard.counts().leases >= 1; }));
    {
        const std::lock_guard lock(reports.lock);
        CHECK_THAT(reports.all.front().text(), ContainsSubstring("process 4711 (painter)"));
    }
    // Afterwards it is the other's again, without a word.
    other->take();
    std::thread late([&] { frames.write(0, 3); });
    CHECK(waits(guard));
    CHECK(device.read(0) == 2);
    other->give();
    late.join();
    CHECK(device.read(0) == 3);
}

TEST_CASE("shared with other processes after the guard was made: their first hold is respected, too") {
    Frames frames;
    const Device device(frames);
    const auto guard = guard_of(frames.buffer);
    frames.write(0, 1); // nobody else yet
    CHECK(guard.counts().taken == 0);
    const auto other = shared_with_another(*frames.buffer);
    CHECK(guard.counts().taken == 1);
    other->take();
    std::thread writer([&] { frames.write(0, 2); });
    CHECK(waits(guard));
    CHECK(device.read(0) == 1);
    other->give();
    writer.join();
    CHECK(device.read(0) == 2);
}

TEST_CASE("shared with other processes: a thread that never stops neither writes in their time nor keeps "
          "them out") {
    Frames frames;
    const Device device(frames);
    const auto other = shared_with_another(*frames.buffer);
    const auto guard = guard_of(frames.buffer);
    std::atomic<bool> stop{false};
    std::uint32_t written = 0;
    std::thread writer([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            ++written;
            frames.write(1024 * (written % 5), written);
        }
    });
    int changed = 0;
    std::uint32_t first = 0;
    for (int turn = 0; turn < 40; ++turn) {
        other->take();
        const auto before = device.read(0);
        if (turn == 0) first = before;
        std::this_thread::sleep_for(1ms);
        if (device.read(0) != before) ++changed;
        other->give();
        std::this_thread::sleep_for(5ms); // longer than the guard waits between two tries
    }
    // Brackets and devices of this process end the lease and come in between, too.
    for (int turn = 0; turn < 20; ++turn) {
        CHECK(frames.buffer->map(Access::read_write, soon()));
        CHECK(frames.buffer->attach(Access::write, "a device", soon()));
    }
    CHECK(testing::eventually([&] { return device.read(0) > first; }));
    stop = true;
    writer.join();
    CHECK(changed == 0);
    CHECK(device.read(1024 * (written % 5)) == written);
    CHECK(guard.counts().leases > 1);
}

TEST_CASE("somebody of this process who wants the buffer does not have to wait for the end of a lease") {
    Frames frames;
    const auto other = shared_with_another(*frames.buffer);
    const auto guard = guard_of(frames.buffer);
    for (int turn = 0; turn < 20; ++turn) {
        frames.write(0, 1); // by a lease
        const auto attachment = frames.buffer->attach(Access::write, "a device", Deadline::in(500ms));
        if (!attachment) FAIL_CHECK(attachment.error().text());
    }
    CHECK(testing::eventually([&] { return guard.counts().leases >= 1; }));
}

TEST_CASE("the end of a guard lets waiting threads go on, while the device goes on too") {
    const auto fds = testing::count_fds();
    {
        Frames frames;
        auto guard = std::make_optional(guard_of(frames.buffer));
        const auto attachment = attached(frames.buffer, Access::read);
        std::thread writer([&] { frames.write(0, 2); });
        CHECK(waits(*guard));
        guard.reset();
        writer.join();
        CHECK(frames.read(0) == 2);
        // A second guard has to wait until nobody holds the buffer.
        const auto again = Guard::create(frames.buffer);
        REQUIRE_FALSE(again);
        CHECK(again.error().code == Code::busy);
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("the report may end its own guard") {
    Frames frames;
    std::optional<Guard> guard;
    std::atomic<bool> told{false}, ended{false};
    GuardOptions options;
    options.report_after = 5ms;
    options.report = [&](const GuardReport&) {
        if (told.exchange(true)) return;
        guard.reset();
        ended = true;
    };
    guard.emplace(guard_of(frames.buffer, options));
    const auto attachment = attached(frames.buffer, Access::read);
    std::thread writer([&] { frames.write(0, 2); });
    writer.join();
    CHECK(testing::eventually([&] { return ended.load(); }));
}

TEST_CASE("buffers that cannot be guarded are refused with the reason") {
    Frames frames;
    const auto refused = [](const std::shared_ptr<Buffer>& buffer, GuardOptions options = {}) {
        auto guard = Guard::create(buffer, std::move(options));
        REQUIRE_FALSE(guard);
        return guard.error();
    };
    const auto layout = Layout::linear(64, 81, format::xrgb8888).value(); // ends within a page
    const auto& memory = frames.pool.memory();
    const auto make = [&](std::uint64_t offset, BufferOptions options = {}) {
        return Buffer::create(memory, offset, layout, options).value();
    };
    CHECK(refused(make(0)).code == Code::invalid_argument);
    CHECK_THAT(refused(make(0)).text(), ContainsSubstring("owns_last_page"));
    CHECK_THAT(refused(make(512)).text(), ContainsSubstring("lies before it"));
    CHECK_THAT(refused(make(0, {Sharing::consistent, "the mixer"})).text(), ContainsSubstring("the mixer"));
    GuardOptions mute;
    mute.mode = GuardMode::report;
    CHECK(refused(frames.buffer, mute).code == Code::invalid_argument);
    GuardOptions alone;
    alone.owns_last_page = true;
    const auto first = guard_of(make(0), alone);
    CHECK(refused(make(4096), alone).code == Code::busy); // overlaps the first
    const auto sysv = frames.heaps.find("sysv");
    if (!sysv) SKIP("sysv: " << sysv.error().text());
    const auto segment = Buffer::create((*sysv)->allocate(layout.size(), "guard test").value(), 0, layout);
    CHECK(refused(*segment).code == Code::unsupported);
}

TEST_CASE("a forked child cannot use a guarded buffer, and its end changes nothing for the parent") {
    Frames frames;
    const Device device(frames);
    auto guard = std::make_optional(guard_of(frames.buffer));
    const auto attachment = attached(frames.buffer, Access::read);
    const pid_t child = fork();
    if (child == 0) {
        const bool refused = !frames.buffer->map(Access::read, Deadline::none());
        guard.reset();
        _exit(refused ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    std::thread writer([&] { frames.write(0, 2); });
    CHECK(waits(*guard));
    CHECK(device.read(0) == 0);
    guard.reset();
    writer.join();
}
