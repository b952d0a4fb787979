// SPDX-License-Identifier: MIT
// Ownership between processes, its traps first. "Another process" is a forked child, or, where one thread has
// to see both sides, another open file description, which is all that the kernel looks at.
#include <catch2/catch_test_macros.hpp>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <random>
#include <thread>

#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/import.hpp>
#include <share/ownership.hpp>

#include "forked.hpp"
#include "os/file.hpp"
#include "os/record_lock.hpp"
#include "process.hpp"
#include "sync/lock_file.hpp"

using namespace share;
using namespace std::chrono_literals;
using os::LockMode;
using testing::count_fds;
using testing::Forked;
using testing::Line;

namespace {

constexpr int ok = 0, bad = 1;

std::shared_ptr<Memory> allocate(const char* heap_name, std::uint64_t size) {
    auto table = HeapTable::probe();
    auto heap = table.find(heap_name);
    REQUIRE(heap);
    auto memory = (*heap)->allocate(size, "ownership");
    REQUIRE(memory);
    return *memory;
}

Layout picture() {
    return Layout::linear(64, 16, format::xrgb8888).value(); // 4096 bytes
}

std::shared_ptr<Buffer> shared_buffer(const std::shared_ptr<Memory>& memory, std::uint64_t offset = 0) {
    auto buffer = Buffer::create(memory, offset, picture());
    REQUIRE(buffer);
    REQUIRE(share_ownership(**buffer));
    return *buffer;
}

/// A Buffer as a process makes it that was sent the memory's fd.
std::shared_ptr<Buffer> received_buffer(int fd) {
    auto copy = os::duplicate(fd);
    auto memory = import_fd(std::move(copy.value()));
    return shared_buffer(memory.value());
}

bool can_lock(int fd, LockMode mode, std::uint64_t offset = 0, std::uint64_t length = 4096) {
    auto taken = os::try_lock(fd, mode, offset, length);
    REQUIRE(taken);
    if (*taken) REQUIRE(os::try_lock(fd, LockMode::none, offset, length));
    return *taken;
}

} // namespace

// What the kernel does: the reasons for the rules of LockFile.

TEST_CASE("a duplicated fd shares its description and so its lock, a reopened one does not",
          "[record-lock]") {
    auto file = os::create_memfd("locks", 4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    REQUIRE(file);
    auto a = os::reopen(file->get()), b = os::reopen(file->get());
    REQUIRE((a && b));
    auto copy = os::duplicate(a->get());
    REQUIRE(*os::try_lock(a->get(), LockMode::write, 0, 4096));
    CHECK(can_lock(copy->get(), LockMode::write)); // which has unlocked it, too
    REQUIRE(*os::try_lock(a->get(), LockMode::write, 0, 4096));
    CHECK_FALSE(can_lock(b->get(), LockMode::read));
    CHECK(can_lock(b->get(), LockMode::write, 4096, 1)); // ranges may lie beyond the end
    a->reset();
    CHECK_FALSE(can_lock(b->get(), LockMode::read)); // the copy keeps it
    copy->reset();
    CHECK(can_lock(b->get(), LockMode::write));
}

TEST_CASE("a mapping made of a lock fd keeps the lock after the fd is closed", "[record-lock]") {
    auto file = os::create_memfd("locks", 4096, F_SEAL_SHRINK);
    REQUIRE(file);
    auto a = os::reopen(file->get()), b = os::reopen(file->get());
    REQUIRE((a && b));
    REQUIRE(*os::try_lock(a->get(), LockMode::write, 0, 4096));
    void* mapping = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, a->get(), 0);
    REQUIRE(mapping != MAP_FAILED);
    a->reset();
    CHECK_FALSE(can_lock(b->get(), LockMode::read));
    ::munmap(mapping, 4096);
    CHECK(can_lock(b->get(), LockMode::write));
}

TEST_CASE("a reader cannot become a writer while another reads; a writer becomes a reader at once",
          "[record-lock]") {
    auto file = os::create_memfd("locks", 4096, F_SEAL_SHRINK);
    REQUIRE(file);
    auto a = os::reopen(file->get()), b = os::reopen(file->get());
    REQUIRE((a && b));
    REQUIRE(*os::try_lock(a->get(), LockMode::read, 0, 4096));
    REQUIRE(*os::try_lock(b->get(), LockMode::read, 0, 4096));
    CHECK_FALSE(*os::try_lock(a->get(), LockMode::write, 0, 4096));
    CHECK(*os::others_lock(b->get(), LockMode::write, 0, 4096)); // the refused one still reads
    REQUIRE(*os::try_lock(b->get(), LockMode::none, 0, 4096));
    CHECK(*os::try_lock(a->get(), LockMode::write, 0, 4096));
    CHECK(*os::try_lock(a->get(), LockMode::read, 0, 4096));
    CHECK(can_lock(b->get(), LockMode::read));
    CHECK_FALSE(can_lock(b->get(), LockMode::write));
}

// LockFile and Buffers.

TEST_CASE("of overlapping holds the kernel is given back only what nobody here holds any more",
          "[ownership]") {
    auto file = os::create_memfd("locks", 4096, F_SEAL_SHRINK);
    REQUIRE(file);
    auto lock_file = sync::LockFile::of(file->get());
    REQUIRE(lock_file);
    CHECK(sync::LockFile::of(file->get()).value() == *lock_file); // one description a file
    auto other = os::reopen(file->get());
    REQUIRE(other);
    const unsigned seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    struct Hold {
        ByteRange range;
        Access access;
    };
    std::vector<Hold> holds;
    const auto expected = [&](std::uint64_t byte) {
        auto mode = LockMode::none;
        for (const auto& hold : holds)
            if (byte >= hold.range.offset && byte < hold.range.offset + hold.range.length)
                mode = writes(hold.access) ? LockMode::write : LockMode::read;
        return mode;
    };
    for (int step = 0; step < 400; ++step) {
        if (holds.empty() || random() % 2 == 0) {
            const Hold hold{{random() % 24, 1 + random() % 12},
                            random() % 3 == 0 ? Access::write : Access::read};
            bool free = true;
            for (std::uint64_t b = hold.range.offset; b < hold.range.offset + hold.range.length; ++b) {
                const auto mode = expected(b);
                free = free && mode != LockMode::write && (mode == LockMode::none || !writes(hold.access));
            }
            REQUIRE((*lock_file)->acquire(hold.range, hold.access, Deadline::none()).ok() == free);
            if (free) holds.push_back(hold);
        } else {
            const auto at = holds.begin() + static_cast<std::ptrdiff_t>(random() % holds.size());
            if (writes(at->access) && random() % 2 == 0) {
                REQUIRE((*lock_file)->downgrade(at->range));
                at->access = Access::read;
            } else {
                const Hold gone = *at;
                holds.erase(at);
                (*lock_file)->release(gone.range, gone.access);
            }
        }
        for (std::uint64_t byte = 0; byte < 40; ++byte) {
            const bool held = *os::others_lock(other->get(), LockMode::write, byte, 1);
            const bool written = *os::others_lock(other->get(), LockMode::read, byte, 1);
            REQUIRE(held == (expected(byte) != LockMode::none));
            REQUIRE(written == (expected(byte) == LockMode::write));
        }
    }
}

TEST_CASE("two readers of this process are two: releasing one keeps writers out", "[ownership]") {
    auto memory = allocate("memfd", 8192);
    const auto fds = count_fds();
    {
        auto a = shared_buffer(memory), b = shared_buffer(memory), next = shared_buffer(memory, 4096);
        CHECK(count_fds() == fds + 1); // one description for all three
        auto other = os::reopen(memory->fd());
        REQUIRE(other);
        auto one = a->attach(Access::read, "kms", Deadline::none());
        auto two = b->attach(Access::read, "encoder", Deadline::none());
        REQUIRE((one && two));
        CHECK(can_lock(other->get(), LockMode::write, 4096)); // its neighbour is free
        one->release();
        CHECK_FALSE(can_lock(other->get(), LockMode::write));
        CHECK(can_lock(other->get(), LockMode::read));
        CHECK_FALSE(b->map(Access::write, Deadline::none()));
        auto refused =
            a->map(Access::write, Deadline::none()); // a sees nobody; the bytes are held all the same
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::busy);
        two->release();
        CHECK(can_lock(other->get(), LockMode::write));
        CHECK(a->map(Access::write, Deadline::none()));
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("a hold ends with its release though the memory stays mapped and its fd was sent", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory);
    REQUIRE(memory->view(Access::read_write));
    auto sent = export_ownership(*buffer); // stays open here, as it would in a peer
    REQUIRE(sent);
    REQUIRE(sent->parts.size() == 1);
    CHECK(sent->parts[0].range == ByteRange{0, 4096});
    auto mapping = buffer->map(Access::write, Deadline::none());
    REQUIRE(mapping);
    CHECK_FALSE(can_lock(sent->parts[0].fd.get(), LockMode::read)); // a description of its own
    REQUIRE(mapping->end());
    CHECK(can_lock(sent->parts[0].fd.get(), LockMode::write));

    auto attachment = buffer->attach(Access::write, "camera", Deadline::none());
    REQUIRE(attachment);
    buffer.reset();
    CHECK_FALSE(can_lock(sent->parts[0].fd.get(), LockMode::read)); // the attachment keeps its buffer
    attachment->release();
    CHECK(can_lock(sent->parts[0].fd.get(), LockMode::write));
}

TEST_CASE("from a written frame to its reader there is no moment for another writer", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory);
    auto consumer = os::reopen(memory->fd());
    REQUIRE(consumer);
    auto mapping = buffer->map(Access::write, Deadline::none());
    REQUIRE(mapping);
    auto kept = mapping->hand_over("on its way");
    REQUIRE(kept);
    CHECK_FALSE(can_lock(consumer->get(), LockMode::write));
    CHECK_FALSE(buffer->map(Access::write, Deadline::none())); // not even the producer itself
    CHECK_FALSE(*held_elsewhere(*buffer));
    auto late = wait_until_taken(*buffer, Deadline::in(5ms));
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Code::timed_out);
    REQUIRE(*os::try_lock(consumer->get(), LockMode::read, 0, 4096));
    CHECK(wait_until_taken(*buffer, Deadline::none()));
    kept->release();
    CHECK_FALSE(buffer->map(Access::write, Deadline::in(5ms)));
    consumer->reset();
    CHECK(buffer->map(Access::write, Deadline::none()));
}

TEST_CASE("in a thousand hand-overs another writer never finds a moment", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory);
    auto consumer = os::reopen(memory->fd()), intruder = os::reopen(memory->fd());
    REQUIRE((consumer && intruder));
    std::atomic<bool> in_flight = false, trying = false, over = false;
    std::atomic<int> tries = 0, successes = 0;
    std::jthread hostile([&] {
        while (!over) {
            trying = true;
            if (in_flight) {
                const auto locked = os::try_lock(intruder->get(), LockMode::write, 0, 4096);
                if (!locked || *locked) ++successes;
                if (locked && *locked) (void)os::try_lock(intruder->get(), LockMode::none, 0, 4096);
                ++tries;
            }
            trying = false;
            std::this_thread::yield();
        }
    });
    // From the write hold, over the hold in flight, to the consumer's own: never nobody's.
    int handed_over = 0;
    for (; handed_over < 1000; ++handed_over) {
        auto mapping = buffer->map(Access::write, Deadline::none());
        if (!mapping) break;
        in_flight = true;
        const int before = tries;
        auto kept = mapping->hand_over("on its way");
        if (!kept) break;
        auto read = os::try_lock(consumer->get(), LockMode::read, 0, 4096);
        if (!read || !*read || !wait_until_taken(*buffer, Deadline::none())) break;
        kept->release();
        while (tries == before)
            std::this_thread::yield();
        in_flight = false;
        while (trying)
            std::this_thread::yield();
        (void)os::try_lock(consumer->get(), LockMode::none, 0, 4096);
    }
    over = true;
    hostile.join();
    CHECK(handed_over == 1000);
    CHECK(successes == 0);
}

TEST_CASE("a process that is in the way is named, and the wait ends with its deadline", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory);
    Forked holder([&](const Line& line) {
        auto mine = received_buffer(memory->fd());
        auto mapping = mine->map(Access::write, Deadline::none());
        line.say(mapping ? 'h' : 'x');
        return line.hear() == 'g' && mapping->end() ? ok : bad;
    });
    REQUIRE(holder.line().hear() == 'h');
    const std::string who = fmt::format("process {} (", holder.pid());
    CHECK(testing::eventually([&] { // the search for it gives up on a very busy machine
        auto refused = buffer->map(Access::read, Deadline::in(20ms));
        REQUIRE_FALSE(refused);
        REQUIRE(refused.error().code == Code::busy);
        return refused.error().detail.find(who) != std::string::npos &&
               refused.error().detail.find("writes") != std::string::npos;
    }));
    std::optional<ProcessHolder> named;
    REQUIRE(testing::eventually([&] { return (named = other_holder(*buffer, Access::read)).has_value(); }));
    CHECK(named->pid == holder.pid());
    CHECK(named->writes);
    CHECK(*held_elsewhere(*buffer));
    holder.line().say('g');
    CHECK(buffer->map(Access::read, Deadline::in(30s))); // waits until it is released
    CHECK(holder.wait() == ok);
    CHECK_FALSE(other_holder(*buffer, Access::write));
}

TEST_CASE("a forked child neither has nor keeps the holds of its parent", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory);
    auto mapping = buffer->map(Access::write, Deadline::none());
    REQUIRE(mapping);
    Forked child([&](const Line& line) {
        auto mine = shared_buffer(memory); // the same Memory object, inherited
        if (mine->map(Access::read, Deadline::none())) return bad;
        (void)mapping->end(); // what it inherited ends without an effect on the parent's
        line.say('t');
        return line.hear() == 'f' && mine->map(Access::write, Deadline::none()) ? ok : bad;
    });
    REQUIRE(child.line().hear() == 't');
    auto other = os::reopen(memory->fd());
    CHECK_FALSE(can_lock(other->get(), LockMode::read));
    REQUIRE(mapping->end());
    child.line().say('f');
    CHECK(child.wait() == ok);

    // A grandchild survives the holder's SIGKILL, and keeps nothing locked.
    Forked holder([&](const Line& line) {
        auto held = buffer->map(Access::write, Deadline::none());
        Forked survivor([&](const Line&) {
            ::prctl(PR_SET_PDEATHSIG, 0);
            line.say('s');
            if (line.hear() != 'q') return bad;
            line.say('a');
            return ok;
        });
        line.say(held ? 'h' : 'x');
        return survivor.wait();
    });
    const std::string words{holder.line().hear(), holder.line().hear()};
    REQUIRE((words == "sh" || words == "hs"));
    CHECK_FALSE(buffer->map(Access::read, Deadline::none()));
    holder.kill();
    CHECK(buffer->map(Access::write, Deadline::in(30s)));
    holder.line().say('q');
    CHECK(holder.line().hear() == 'a'); // it was there all the time
}

TEST_CASE("a holder killed at any step leaves the buffer free before anybody's deadline", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory);
    const auto fds = count_fds();
    constexpr int steps = 9;
    for (int last = 1; last <= steps; ++last) {
        INFO("killed at step " << last);
        Forked victim([&](const Line& line) {
            int step = 0;
            const auto at = [&] {
                if (++step != last) return;
                line.say('k');
                line.hear(); // here it dies
            };
            auto mine = received_buffer(memory->fd());
            at();
            auto written = mine->map(Access::write, Deadline::in(30s));
            at();
            std::memset(written->plane(0).data(), 1, 2048); // half a frame
            at();
            auto kept = written->hand_over("on its way");
            at();
            auto read = mine->attach(Access::read, "itself", Deadline::in(30s));
            at();
            kept->release();
            at();
            read->release();
            at();
            auto device = mine->attach(Access::write, "camera", Deadline::in(30s));
            at();
            mine.reset();
            at();
            return bad;
        });
        REQUIRE(victim.line().hear() == 'k');
        // A wait that began before the death, and one that begins after it.
        std::jthread killer([&] {
            std::this_thread::sleep_for(2ms);
            victim.kill();
        });
        CHECK(buffer->map(Access::write, Deadline::in(60s)));
        killer.join();
        CHECK(buffer->map(Access::write, Deadline::in(60s)));
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("one that is killed while it waits does not close the gate behind it", "[ownership]") {
    auto memory = allocate("memfd", 8192);
    auto buffer = shared_buffer(memory), neighbour = shared_buffer(memory, 4096);
    auto reading = buffer->attach(Access::read, "reader", Deadline::none());
    REQUIRE(reading);
    auto other = os::reopen(memory->fd());
    Forked waiter([&](const Line&) {
        (void)received_buffer(memory->fd())->map(Access::write, Deadline::in(60s));
        return bad;
    });
    const auto gate_closed = [&] {
        return *os::others_lock(other->get(), LockMode::write, sync::LockFile::gate, 4096);
    };
    REQUIRE(testing::eventually(gate_closed));
    std::this_thread::sleep_for(sync::LockFile::gate_look + 1ms);
    auto second = shared_buffer(memory);
    CHECK(neighbour->attach(Access::read, "beside", Deadline::none())); // its look is not second's
    auto refused = second->attach(Access::read, "late", Deadline::none());
    REQUIRE_FALSE(refused); // readers do not overtake a writer that has waited
    CHECK(refused.error().detail.find("waited longer") != std::string::npos);
    waiter.kill();
    CHECK_FALSE(gate_closed());
    CHECK(second->attach(Access::read, "late", Deadline::none()));
}

TEST_CASE("the first of two waiting writers of a process to give up leaves the gate closed", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory);
    auto reading = buffer->attach(Access::read, "reader", Deadline::none());
    REQUIRE(reading);
    auto other = os::reopen(memory->fd());
    Forked waiters([&](const Line& line) {
        auto mine = received_buffer(memory->fd()), same = shared_buffer(mine->memory());
        std::jthread patient([&] { (void)mine->map(Access::write, Deadline::in(60s)); });
        (void)same->map(Access::write, Deadline::in(300ms));
        line.say('e');
        return line.hear() == 0 ? ok : bad;
    });
    REQUIRE(waiters.line().hear() == 'e');
    CHECK(testing::eventually(
        [&] { return *os::others_lock(other->get(), LockMode::write, sync::LockFile::gate, 4096); }));
}

TEST_CASE("planes that name the same memory are one hold", "[ownership]") {
    const auto layout = Layout::linear(32, 32, format::nv12).value();
    auto memory = allocate("memfd", std::max<std::uint64_t>(layout.size(), 4096));
    const std::array memories{memory, memory};
    auto buffer = Buffer::create(memories, layout);
    if (!buffer) FAIL(buffer.error().text());
    REQUIRE(share_ownership(**buffer));
    auto other = os::reopen(memory->fd());
    auto mapping = (*buffer)->map(Access::write, Deadline::none());
    REQUIRE(mapping);
    CHECK_FALSE(can_lock(other->get(), LockMode::read));
    auto kept = mapping->hand_over("on its way");
    REQUIRE(kept);
    CHECK(can_lock(other->get(), LockMode::read));
    CHECK_FALSE(can_lock(other->get(), LockMode::write));
    kept->release();
    CHECK(can_lock(other->get(), LockMode::write));
    CHECK(export_ownership(**buffer)->parts.size() == 1);
}

TEST_CASE("a buffer is not joined to other locks than those it has", "[ownership]") {
    auto memory = allocate("memfd", 4096), stranger = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory), other = shared_buffer(stranger);
    CHECK(join_ownership(*buffer, export_ownership(*buffer).value()));
    auto joined = join_ownership(*buffer, export_ownership(*other).value());
    REQUIRE_FALSE(joined);
    CHECK(joined.error().code == Code::busy);
}

TEST_CASE("overlapping readers of other processes do not keep a writer out for ever", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory);
    const auto reader = [&](const Line& line) {
        auto mine = received_buffer(memory->fd());
        line.say('r');
        for (;;) {
            auto hold = mine->attach(Access::read, "reader", Deadline::in(30s));
            if (!hold) return bad;
            std::this_thread::sleep_for(3ms);
        }
    };
    Forked a(reader), b(reader), c(reader);
    for (const Forked* each : {&a, &b, &c})
        REQUIRE(each->line().hear() == 'r');
    for (int i = 0; i < 2; ++i)
        CHECK(buffer->map(Access::write, Deadline::in(60s)));
}

TEST_CASE("a reader that asks again while a writer waits for it is let in after a while", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    auto buffer = shared_buffer(memory), again = shared_buffer(memory);
    auto first = buffer->attach(Access::read, "reader", Deadline::none());
    REQUIRE(first);
    Forked writer([&](const Line& line) {
        auto mine = received_buffer(memory->fd());
        line.say('r');
        return mine->map(Access::write, Deadline::in(60s)) ? ok : bad;
    });
    REQUIRE(writer.line().hear() == 'r');
    std::this_thread::sleep_for(sync::LockFile::patience + sync::LockFile::gate_look * 2);
    auto second = again->attach(Access::read, "reader again", Deadline::in(60s)); // nested: no deadlock
    CHECK(second);
    first->release();
    if (second) second->release();
    CHECK(writer.wait() == ok);
}

TEST_CASE("memory without a file of its own is locked by a file that travels with it", "[ownership]") {
    auto memory = allocate("sysv", 4096);
    Forked peer([&](const Line& line) { // before the parent has a lock file: it inherits none
        OwnershipHandle received;
        received.parts.emplace_back();
        if (line.hear(&received.parts[0].fd) != 'f') return bad;
        received.parts[0].range = {0, 4096};
        auto imported = import_sysv(*memory->sysv_id());
        auto mine = Buffer::create(imported.value(), 0, picture());
        if (share_ownership(**mine)) return bad; // nobody else would know of a lock file made here
        if (!join_ownership(**mine, std::move(received))) return bad;
        auto mapping = (*mine)->map(Access::write, Deadline::none());
        line.say(mapping ? 'h' : 'x');
        line.hear();
        return ok;
    });
    auto buffer = shared_buffer(memory);
    {
        auto handle = export_ownership(*buffer);
        REQUIRE(handle);
        REQUIRE(handle->parts.size() == 1);
        CHECK(handle->parts[0].range == ByteRange{0, 4096});
        auto facts = inspect_fd(handle->parts[0].fd.get());
        REQUIRE(facts);
        CHECK((facts->seals & F_SEAL_WRITE) != 0); // nobody can scribble on it
        peer.line().say('f', handle->parts[0].fd.get());
    }
    REQUIRE(peer.line().hear() == 'h');
    CHECK_FALSE(buffer->map(Access::read, Deadline::none()));
    buffer.reset();
    auto again = shared_buffer(memory); // finds the lock file that the peer knows
    CHECK_FALSE(again->map(Access::read, Deadline::none()));
    peer.line().say('g');
    CHECK(peer.wait() == ok);
    CHECK(again->map(Access::write, Deadline::none()));
}

TEST_CASE("a consistent buffer, one in use, and a hostile handle are refused", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    const auto fds = count_fds();
    {
        auto consistent = Buffer::create(memory, 0, picture(), {Sharing::consistent, "encoder"});
        REQUIRE(consistent);
        auto refused = share_ownership(**consistent);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().detail.find("encoder") != std::string::npos);

        auto buffer = Buffer::create(memory, 0, picture());
        REQUIRE(buffer);
        auto unknown = held_elsewhere(**buffer);
        REQUIRE_FALSE(unknown);
        CHECK(unknown.error().code == Code::unsupported);
        {
            auto mapping = (*buffer)->map(Access::read, Deadline::none());
            auto busy = share_ownership(**buffer);
            REQUIRE_FALSE(busy);
            CHECK(busy.error().code == Code::busy);
        }
        const auto joins = [&](int fd, const ByteRange& range, std::size_t parts = 1) {
            OwnershipHandle handle;
            for (std::size_t i = 0; i < parts; ++i)
                handle.parts.push_back({fd < 0 ? UniqueFd() : os::duplicate(fd).value(), range});
            return join_ownership(**buffer, std::move(handle)).ok();
        };
        int pipe_ends[2];
        REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
        const UniqueFd in(pipe_ends[0]), out(pipe_ends[1]);
        const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        const UniqueFd disk(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
        for (const int fd : {-1, in.get(), null.get(), disk.get()})
            CHECK_FALSE(joins(fd, {0, 4096}));
        for (const ByteRange range :
             {ByteRange{0, 0}, ByteRange{1, ~std::uint64_t{0}}, ByteRange{std::uint64_t{1} << 62U, 1}})
            CHECK_FALSE(joins(memory->fd(), range));
        CHECK_FALSE(joins(memory->fd(), {0, 4096}, 0));
        CHECK_FALSE(joins(memory->fd(), {0, 4096}, max_planes + 1));
        CHECK(joins(memory->fd(), {0, 4096}));
        CHECK((*buffer)->map(Access::write, Deadline::none()));
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("threads and processes that take turns lose no increment", "[ownership]") {
    auto memory = allocate("memfd", 4096);
    constexpr int turns = 100;
    const auto count = [](Buffer& buffer) {
        int refused = 0;
        for (int i = 0; i < turns; ++i) {
            auto mapping = buffer.map(Access::read_write, Deadline::in(60s));
            if (!mapping) {
                ++refused;
                continue;
            }
            std::uint32_t value = 0; // read, wait a little, write: any overlap loses some
            std::memcpy(&value, mapping->plane(0).data(), sizeof value);
            if (i % 8 == 0) std::this_thread::yield();
            ++value;
            std::memcpy(mapping->plane(0).data(), &value, sizeof value);
        }
        return refused;
    };
    Forked child([&](const Line& line) {
        auto mine = received_buffer(memory->fd());
        line.say('r');
        return count(*mine) == 0 ? ok : bad;
    });
    auto a = shared_buffer(memory), b = shared_buffer(memory); // the same bytes twice
    REQUIRE(child.line().hear() == 'r');
    std::atomic<int> refused = 0;
    {
        std::jthread one([&] { refused += count(*a); }), two([&] { refused += count(*a); }),
            three([&] { refused += count(*b); });
    }
    CHECK(child.wait() == ok);
    CHECK(refused == 0);
    auto mapping = a->map(Access::read, Deadline::none());
    REQUIRE(mapping);
    std::uint32_t value = 0;
    std::memcpy(&value, mapping->plane(0).data(), sizeof value);
    CHECK(value == 4 * turns);
}
