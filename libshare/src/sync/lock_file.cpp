// SPDX-License-Identifier: MIT
#include "sync/lock_file.hpp"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include <fmt/format.h>

namespace share::sync {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

std::uint64_t end_of(const ByteRange& range) noexcept {
    return range.offset + range.length;
}
bool overlap(const ByteRange& a, const ByteRange& b) noexcept {
    return a.offset < end_of(b) && b.offset < end_of(a);
}
os::LockMode mode_of(Access access) noexcept {
    return writes(access) ? os::LockMode::write : os::LockMode::read;
}

} // namespace

/// A waiter's gate, open at the end of its scope. With lock_ held at both ends.
class LockFile::Gate {
public:
    Gate(LockFile& file, const ByteRange& range) : file_(file), range_(range) {}
    ~Gate() { give_up(); }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    bool closed() const noexcept { return closed_; }
    void close() {
        if (set(os::LockMode::write)) closed_ = true; // one that may only read the file waits without
    }
    void give_up() noexcept {
        if (std::exchange(closed_, false)) (void)set(os::LockMode::none);
    }

private:
    bool set(os::LockMode mode) {
        auto done = os::try_lock(file_.fd_.get(), mode, gate + range_.offset, range_.length);
        return done && *done;
    }
    LockFile& file_;
    ByteRange range_;
    bool closed_ = false;
};

Result<void> LockFile::acquire(const ByteRange& range, Access access, Deadline deadline) {
    std::unique_lock guard(lock_);
    auto tried = try_take(range, access, false);
    if (!tried) return std::move(tried).error();
    if (*tried == Tried::taken) return {};
    if (deadline.passed()) return busy(guard, *tried, range, access, false);
    return wait(guard, range, access, deadline);
}

Result<void> LockFile::wait(std::unique_lock<std::mutex>& guard, const ByteRange& range, Access access,
                            Deadline deadline) {
    const auto since = Clock::now();
    Gate own_gate(*this, range);
    Clock::duration nap = 50us;
    for (;;) {
        const auto waited = Clock::now() - since;
        // Again at each nap: another waiter of this process may have opened it, the description being one.
        if (waited >= patience) own_gate.close();
        auto tried = try_take(range, access, own_gate.closed() || waited >= courtesy);
        const bool over = !tried || *tried == Tried::taken || deadline.passed();
        if (over) own_gate.give_up();
        if (!tried) return std::move(tried).error();
        if (*tried == Tried::taken) return {};
        if (over) return busy(guard, *tried, range, access, true);
        changed_.wait_until(guard, std::min(deadline.when(), Clock::now() + nap));
        nap = std::min<Clock::duration>(nap * 2, longest_nap);
    }
}

Result<LockFile::Tried> LockFile::try_take(const ByteRange& range, Access access, bool pass_gate) {
    if (!fd_)
        return make_error(Code::unavailable, "locking a buffer between processes",
                          "its lock file could not be opened again after fork(); raise ulimit -n");
    const bool in_the_way = std::any_of(holds_.begin(), holds_.end(), [&](const Hold& hold) {
        return overlap(hold.range, range) && (writes(hold.access) || writes(access));
    });
    if (in_the_way) return Tried::held_here;
    if (!pass_gate && gate_closed(range)) return Tried::gated;
    if (left_over_)
        if (auto done = unlock_left_over(); !done) return std::move(done).error();
    holds_.reserve(holds_.size() + 1); // what can throw comes before the lock
    // Bytes that another reader of this process holds already are locked once more: that changes nothing.
    auto taken = os::try_lock(fd_.get(), mode_of(access), range.offset, range.length);
    if (!taken) return std::move(taken).error();
    if (!*taken) return Tried::held_elsewhere;
    holds_.push_back({range, access});
    return Tried::taken;
}

bool LockFile::gate_closed(const ByteRange& range) {
    const auto now = Clock::now();
    if (!saw_closed_ && now - looked_ < gate_look) return false;
    looked_ = now;
    // What is remembered is about the whole file: other buffers of it ask next.
    auto any = os::others_lock(fd_.get(), os::LockMode::write, gate, gate);
    saw_closed_ = any && *any;
    if (!saw_closed_) return false;
    auto closed = os::others_lock(fd_.get(), os::LockMode::write, gate + range.offset, range.length);
    return closed && *closed;
}

Error LockFile::busy(std::unique_lock<std::mutex>& guard, Tried why, const ByteRange& range, Access access,
                     bool waited) {
    const auto error = [](std::string who) {
        return make_error(Code::busy, "locking a buffer between processes", std::move(who));
    };
    if (why == Tried::held_here) return error("another buffer of this process over the same bytes is held");
    if (why == Tried::gated) return error("another process has waited longer for it");
    // Looking through /proc takes milliseconds. Who only tries gets an old answer where it is still right.
    const auto now = Clock::now();
    const bool search = waited || now - searched_ > 1s;
    if (search) searched_ = now;
    auto known = last_holder_;
    guard.unlock();
    if (!known || !os::holds_lock(*known, inode_, mode_of(access), range.offset, range.length))
        known = search ? os::find_lock_holder(inode_, mode_of(access), range.offset, range.length, 20)
                       : std::nullopt;
    guard.lock();
    last_holder_ = known;
    if (!known) return error("another process still holds it");
    return error(fmt::format("process {} ({}) still {} it", known->pid, known->name,
                             known->writes ? "writes" : "reads"));
}

Result<void> LockFile::downgrade(const ByteRange& range) {
    const std::lock_guard guard(lock_);
    const auto at = std::find_if(holds_.begin(), holds_.end(), [&](const Hold& hold) {
        return hold.range == range && writes(hold.access);
    });
    if (at == holds_.end()) return {}; // a hold inherited by a forked child
    auto changed = os::try_lock(fd_.get(), os::LockMode::read, range.offset, range.length);
    if (!changed) return std::move(changed).error();
    assert(*changed); // nobody can have had a lock beside our exclusive one
    at->access = Access::read;
    changed_.notify_all();
    return {};
}

void LockFile::release(const ByteRange& range, Access access) noexcept {
    const std::lock_guard guard(lock_);
    auto at = std::find_if(holds_.begin(), holds_.end(), [&](const Hold& hold) {
        return hold.range == range && writes(hold.access) == writes(access);
    });
    if (at == holds_.end()) // handed over in part, when the kernel refused the rest
        at = std::find_if(holds_.begin(), holds_.end(), [&](const Hold& h) { return h.range == range; });
    if (at == holds_.end()) return; // a hold inherited by a forked child
    holds_.erase(at);
    if (!unlock_unheld(range.offset, end_of(range))) left_over_ = true;
    if (left_over_) (void)unlock_left_over();
    changed_.notify_all();
}

Result<void> LockFile::unlock_unheld(std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t from = begin; from < end;) {
        const auto holding = std::find_if(holds_.begin(), holds_.end(), [&](const Hold& hold) {
            return hold.range.offset <= from && from < end_of(hold.range);
        });
        if (holding != holds_.end()) {
            from = end_of(holding->range);
            continue;
        }
        std::uint64_t next = end;
        for (const Hold& hold : holds_)
            if (hold.range.offset > from) next = std::min(next, hold.range.offset);
        if (auto done = os::try_lock(fd_.get(), os::LockMode::none, from, next - from); !done)
            return std::move(done).error();
        from = next;
    }
    return {};
}

/// Splitting a lock needs memory of the kernel's, which may have none; unlocking the whole file never does.
Result<void> LockFile::unlock_left_over() {
    Result<void> done;
    if (holds_.empty()) {
        if (auto all = os::try_lock(fd_.get(), os::LockMode::none, 0, 0); !all) done = std::move(all).error();
    } else
        done = unlock_unheld(0, gate);
    if (done) left_over_ = false;
    return done;
}

Result<bool> LockFile::held_elsewhere(const ByteRange& range) {
    const std::lock_guard guard(lock_);
    return os::others_lock(fd_.get(), os::LockMode::write, range.offset, range.length);
}

std::optional<os::LockHolder> LockFile::holder(const ByteRange& range, Access access, int budget_ms) {
    return os::find_lock_holder(inode_, mode_of(access), range.offset, range.length, budget_ms);
}

Result<UniqueFd> LockFile::fd_to_send() {
    const std::lock_guard guard(lock_);
    return os::reopen(fd_.get());
}

void LockFile::forget_after_fork() noexcept {
    if (fd_) fd_.reset(os::reopen_in_child(fd_.get()).release());
    holds_.clear();
    left_over_ = saw_closed_ = false;
    new (&changed_) std::condition_variable; // who waited in it stayed behind in the parent
}

} // namespace share::sync
