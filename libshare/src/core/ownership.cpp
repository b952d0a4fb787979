// SPDX-License-Identifier: MIT
#include "core/ownership.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

namespace share {

std::string_view to_string(Sharing sharing) noexcept {
    return sharing == Sharing::exclusive ? "exclusive" : "consistent";
}

} // namespace share

namespace share::detail {
namespace {

using Clock = std::chrono::steady_clock;

bool conflict(Access a, Access b) noexcept {
    return writes(a) || writes(b);
}

/// Runs its function at the end of the scope, exceptions included, unless dismissed.
template<class F>
class Undo {
public:
    explicit Undo(F undo) : undo_(std::move(undo)) {}
    ~Undo() {
        if (armed_) undo_();
    }
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    void dismiss() noexcept { armed_ = false; }

private:
    F undo_;
    bool armed_ = true;
};

/// For how long a wait for other processes may keep a reservation. A little more than `courtesy`, which is
/// how long the arbiter may have to wait behind others' waiters.
constexpr auto arbiter_slice = Ownership::courtesy + Ownership::patience;
/// Only a writer's reservation keeps others out.
Deadline slice_of(Access access, Deadline deadline) noexcept {
    if (!writes(access) || deadline.when() == Deadline::none().when()) return deadline; // saves the clock
    return Deadline(std::min(deadline.when(), Clock::now() + arbiter_slice));
}

} // namespace

/// One entry of waiting_ for as long as somebody waits. With lock_ held at both ends.
class Ownership::Waiting {
public:
    Waiting(Ownership& owner, std::uint64_t ticket, Access access, Clock::time_point since)
        : owner_(owner), ticket_(ticket) {
        owner_.waiting_.push_back({ticket, access, since});
    }
    ~Waiting() {
        auto& all = owner_.waiting_;
        all.erase(std::find_if(all.begin(), all.end(), [&](const Waiter& w) { return w.ticket == ticket_; }));
        owner_.changed_.notify_all(); // whoever waited behind this one
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

private:
    Ownership& owner_;
    std::uint64_t ticket_;
};

bool Ownership::free_for(Access access, std::uint64_t ticket, bool polite) const noexcept {
    if (sharing_ == Sharing::consistent) return true;
    if (writers_ != 0 || (writes(access) && readers_ != 0)) return false;
    if (waiting_.empty() || !polite) return true;
    const auto now = Clock::now();
    return std::none_of(waiting_.begin(), waiting_.end(), [&](const Waiter& w) {
        return w.ticket < ticket && now - w.since >= patience && conflict(w.access, access);
    });
}

std::string Ownership::holder_locked() const {
    if (!holders_.empty()) return holders_.front();
    return idle_locked() ? "somebody who has waited longer" : "a CPU mapping";
}

/// Whether one that comes back with its reservation lets a reader go first.
bool Ownership::gives_way(Access access, const Turn& turn) const noexcept {
    if (!turn.again || !writes(access)) return false;
    const auto now = Clock::now();
    return std::any_of(waiting_.begin(), waiting_.end(), [&](const Waiter& w) {
        return w.ticket != *turn.ticket && !writes(w.access) && now - w.since >= courtesy;
    });
}

Result<void> Ownership::reserve(Access access, const std::string& who, Deadline deadline, Turn& turn,
                                Parties& parties) {
    std::unique_lock guard(lock_);
    if (!turn.ticket) turn.ticket = next_ticket_++;
    const std::uint64_t ticket = *turn.ticket;
    if (!free_for(access, ticket, true) || gives_way(access, turn)) {
        const auto now = Clock::now();
        if (!turn.again) turn.since = now;
        const auto polite_until = now + courtesy;
        const Waiting waiting(*this, ticket, access, turn.since);
        if (const auto watcher = watcher_) {
            guard.unlock();
            watcher->wanted();
            guard.lock();
        }
        for (;;) {
            const bool polite = Clock::now() < polite_until;
            if (free_for(access, ticket, polite) && !gives_way(access, turn)) break;
            if (deadline.passed())
                return make_error(Code::busy, {}, fmt::format("{} still holds it", holder_locked()));
            changed_.wait_until(guard, polite ? std::min(deadline.when(), polite_until) : deadline.when());
        }
    }
    if (!who.empty()) holders_.push_back(who); // first: should it throw, nothing is held yet
    ++(writes(access) ? writers_ : readers_);
    parties = {arbiter_, watcher_ != nullptr};
    return {};
}

void Ownership::unreserve(Access access, const std::string& who) noexcept {
    std::shared_ptr<IdleSignal> tell;
    {
        const std::lock_guard guard(lock_);
        auto& count = writes(access) ? writers_ : readers_;
        assert(count > 0);
        --count;
        const auto at = std::find(holders_.begin(), holders_.end(), who);
        if (at != holders_.end()) holders_.erase(at);
        changed_.notify_all();
        if (idle_locked()) tell = signal_;
    }
    if (tell) tell->notify();
}

Result<void> Ownership::tell_begin(Holder kind, Access access, const std::string& who, Deadline deadline) {
    const std::lock_guard order(watch_lock_);
    if (!watcher_) return {};
    auto& told = kind == Holder::cpu ? cpu_told_ : devices_told_;
    if (told == 0) {
        auto begun = kind == Holder::cpu ? watcher_->cpu_begins(access, deadline)
                                         : watcher_->device_begins(access, who, deadline);
        if (!begun) return begun;
    }
    ++told;
    return {};
}

void Ownership::tell_end(Holder kind) noexcept {
    const std::lock_guard order(watch_lock_);
    if (!watcher_) return;
    auto& told = kind == Holder::cpu ? cpu_told_ : devices_told_;
    if (--told != 0) return;
    kind == Holder::cpu ? watcher_->cpu_ended() : watcher_->device_ended();
}

Result<void> Ownership::acquire(Holder kind, Access access, const std::string& who, Deadline deadline) {
    Turn turn;
    for (;;) {
        Parties parties;
        if (auto reserved = reserve(access, who, deadline, turn, parties); !reserved) return reserved;
        Undo leave([&] { unreserve(access, who); });
        const auto& arbiter = parties.arbiter;
        if (arbiter) {
            const auto until = slice_of(access, deadline);
            if (auto taken = arbiter->acquire(access, until); !taken) {
                if (taken.error().code != Code::busy || !until.passed() || deadline.passed()) return taken;
                if (turn.since == Clock::time_point{}) turn.since = until.when() - arbiter_slice;
                turn.again = true;
                continue;
            }
        }
        Undo give_back([&] {
            if (arbiter) arbiter->release(access);
        });
        if (parties.watched)
            if (auto told = tell_begin(kind, access, who, deadline); !told) return told;
        give_back.dismiss();
        leave.dismiss();
        return {};
    }
}

void Ownership::release(Holder kind, Access access, const std::string& who) noexcept {
    Parties parties;
    {
        const std::lock_guard guard(lock_);
        parties = {arbiter_, watcher_ != nullptr};
    }
    if (parties.watched) tell_end(kind);
    if (parties.arbiter) parties.arbiter->release(access);
    unreserve(access, who);
}

Result<void> Ownership::cpu_ready() {
    const std::lock_guard order(watch_lock_);
    return watcher_ ? watcher_->cpu_ready() : Result<void>();
}

Result<void> Ownership::hand_over(Holder kind, const std::string& from, const std::string& to) {
    std::shared_ptr<Arbiter> arbiter;
    {
        const std::lock_guard guard(lock_);
        assert(writers_ > 0);
        arbiter = arbiter_;
        holders_.push_back(to); // what can throw comes first
    }
    Undo forget([&] {
        const std::lock_guard guard(lock_);
        holders_.erase(std::find(holders_.begin(), holders_.end(), to));
    });
    // The device's hold begins before the CPU's ends, so that a watcher sees no moment without an owner. Told
    // twice for a device that goes on as a reader: `devices_told_` counts it once.
    {
        const std::lock_guard order(watch_lock_);
        if (watcher_) {
            auto begun = watcher_->device_begins(Access::read, to, Deadline::none());
            if (!begun) return begun;
            if (kind == Holder::cpu) ++devices_told_;
        }
    }
    Undo untell([&] {
        if (kind == Holder::cpu) tell_end(Holder::device);
    });
    if (arbiter)
        if (auto changed = arbiter->downgrade(); !changed) return changed;
    untell.dismiss();
    forget.dismiss();
    if (kind == Holder::cpu) tell_end(Holder::cpu);
    const std::lock_guard guard(lock_);
    --writers_;
    ++readers_;
    const auto at = std::find(holders_.begin(), holders_.end(), from);
    if (at != holders_.end()) holders_.erase(at);
    changed_.notify_all();
    return {};
}

bool Ownership::idle() const {
    const std::lock_guard guard(lock_);
    return idle_locked();
}

std::string Ownership::holder() const {
    const std::lock_guard guard(lock_);
    return holder_locked();
}

bool Ownership::contended() const {
    const std::lock_guard guard(lock_);
    return !waiting_.empty();
}

void Ownership::set_signal(std::shared_ptr<IdleSignal> signal) {
    const std::lock_guard guard(lock_);
    signal_ = std::move(signal);
}

bool Ownership::set_arbiter(std::shared_ptr<Arbiter> arbiter) {
    const std::lock_guard order(watch_lock_);
    {
        const std::lock_guard guard(lock_);
        if (arbiter_ || !idle_locked()) return false;
        arbiter_ = std::move(arbiter);
    }
    // From now on nobody's turn is others' too. Who took it just now has not been told of yet.
    if (watcher_) watcher_->cpu_ended();
    return true;
}

std::shared_ptr<Arbiter> Ownership::arbiter() const {
    const std::lock_guard guard(lock_);
    return arbiter_;
}

bool Ownership::set_watcher(std::shared_ptr<AccessWatcher> watcher) {
    const std::lock_guard order(watch_lock_);
    const std::lock_guard guard(lock_);
    if (watcher && (watcher_ || !idle_locked() || sharing_ == Sharing::consistent)) return false;
    watcher_ = std::move(watcher);
    cpu_told_ = devices_told_ = 0;
    return true;
}

} // namespace share::detail
