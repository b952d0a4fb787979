// SPDX-License-Identifier: MIT
#include "core/pins.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <share/deadline.hpp>

#include "os/dmabuf.hpp"

namespace share::detail {

/// All slots that rest, and the thread that ends their rest. Closing happens under the lock: then pinned(),
/// the account and the fd change as one.
struct Pins {
    using Clock = std::chrono::steady_clock;
    std::mutex lock;
    std::condition_variable changed;
    std::vector<PinSlot*> resting; ///< each is alive: a Buffer that goes takes its slot out
    std::chrono::milliseconds grace{100};
    bool reaping = false; ///< there is a thread
    Clock::time_point reaper_wakes;

    static Pins& get();
    void rest(PinSlot& slot, std::chrono::milliseconds time) noexcept;
    /// Nobody holds it any more, nor shall it rest: closes it, or has it wait for its fences.
    void end_rest(PinSlot& slot) noexcept;
    std::uint64_t give_up(PinSlot& slot) noexcept;
    void forget(const PinSlot& slot) noexcept { std::erase(resting, &slot); }
    std::uint64_t trim(bool worked_on) noexcept;

private:
    static constexpr std::chrono::milliseconds fence_look{20};
    bool start_reaper() noexcept;
    void reap();
    void after_fork_in_child() noexcept;
};

/// Never destroyed: the reaper may outlive main().
Pins& Pins::get() {
    static Pins* const pins = [] {
        auto* made = new Pins;
        pthread_atfork([] { get().lock.lock(); }, [] { get().lock.unlock(); },
                       [] { get().after_fork_in_child(); });
        return made;
    }();
    return *pins;
}

/// A child has none of its parent's threads, and nobody there asked for what rests.
void Pins::after_fork_in_child() noexcept {
    std::construct_at(&changed); // it may count the parent's reaper as waiting
    reaping = false;
    trim(true);
    lock.unlock();
}

std::uint64_t Pins::give_up(PinSlot& slot) noexcept {
    forget(slot);
    if (!slot.unused()) {
        slot.given_up_ = true;
        return 0;
    }
    const auto bytes = slot.pin_ ? slot.pin_->charge.pinned() : 0;
    slot.pin_.reset();
    return bytes;
}

std::uint64_t Pins::trim(bool worked_on) noexcept {
    std::uint64_t bytes = 0;
    for (auto left = resting.size(); left-- > 0;) // each is erased, or stays where it is
        if (worked_on || !resting[left]->worked_on()) bytes += give_up(*resting[left]);
    return bytes;
}

void Pins::end_rest(PinSlot& slot) noexcept {
    if (slot.unused() && slot.worked_on())
        rest(slot, fence_look);
    else
        give_up(slot);
}

void Pins::rest(PinSlot& slot, std::chrono::milliseconds time) noexcept {
    slot.rests_until_ = Deadline::in(time).when();
    forget(slot);
    try {
        resting.push_back(&slot);
    } catch (const std::exception&) { // no memory: then no grace; its next use or its Buffer's end finds it
        if (!slot.worked_on()) give_up(slot);
        return;
    }
    if (reaping) {
        if (slot.rests_until_ < reaper_wakes) changed.notify_all();
        return;
    }
    if (!start_reaper() && !slot.worked_on()) give_up(slot);
}

bool Pins::start_reaper() noexcept {
    // Signals are for the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    reaping = true;
    try {
        std::thread([this] {
            pthread_setname_np(pthread_self(), "share-pins");
            reap();
        }).detach();
    } catch (const std::exception&) { // no thread
        reaping = false;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return reaping;
}

void Pins::reap() {
    std::unique_lock guard(lock);
    while (!resting.empty()) {
        auto* const next = *std::ranges::min_element(resting, {}, &PinSlot::rests_until_);
        if (next->rests_until_ <= Clock::now()) {
            end_rest(*next);
            continue;
        }
        reaper_wakes = next->rests_until_;
        changed.wait_until(guard, reaper_wakes);
    }
    reaping = false;
}

/// One holder's share. Made before the lock is taken: it needs memory, and its end takes the lock.
struct PinSlot::Hold {
    Hold() = default;
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() {
        if (!slot) return;
        if (looks)
            slot->end_look();
        else
            slot->release();
    }
    std::shared_ptr<PinSlot> slot;
    bool looks = false;
};

PinSlot::Shared PinSlot::take() {
    auto hold = std::make_shared<Hold>();
    auto& pins = Pins::get();
    const std::lock_guard guard(pins.lock);
    if (!pin_) return nullptr;
    if (users_ == 0) pins.forget(*this);
    given_up_ = false;
    ++users_;
    hold->slot = shared_from_this();
    return {hold, &pin_->fd};
}

PinSlot::Shared PinSlot::peek() {
    auto hold = std::make_shared<Hold>();
    const std::lock_guard guard(Pins::get().lock);
    if (!pin_) return nullptr;
    ++looks_;
    hold->looks = true;
    hold->slot = shared_from_this();
    return {hold, &pin_->fd};
}

PinSlot::Shared PinSlot::put(UniqueFd fd, Charge charge, bool rests) {
    {
        const std::lock_guard guard(Pins::get().lock);
        pin_.emplace(Pin{std::move(fd), std::move(charge), rests});
    }
    return take();
}

void PinSlot::release() noexcept {
    auto& pins = Pins::get();
    const std::lock_guard guard(pins.lock);
    if (--users_ > 0) return;
    if (abandoned_ || !pin_->rests || pins.grace.count() == 0)
        pins.end_rest(*this);
    else
        pins.rest(*this, pins.grace);
}

void PinSlot::end_look() noexcept {
    auto& pins = Pins::get();
    const std::lock_guard guard(pins.lock);
    --looks_;
    if (given_up_ && unused()) {
        given_up_ = false;
        pins.end_rest(*this);
    }
}

/// Whether fences say so, and matter: after the Buffer's end nobody can begin anything here.
bool PinSlot::worked_on() const noexcept {
    return !abandoned_ && pin_ && pin_->rests && os::has_pending_fences(pin_->fd.get());
}

bool PinSlot::pinned() const noexcept {
    const std::lock_guard guard(Pins::get().lock);
    return pin_.has_value();
}

void PinSlot::abandon() noexcept {
    auto& pins = Pins::get();
    const std::lock_guard guard(pins.lock);
    abandoned_ = true;
    if (pin_ && users_ == 0) pins.give_up(*this);
}

} // namespace share::detail

namespace share {

void set_pin_grace(std::chrono::milliseconds grace) noexcept {
    auto& pins = detail::Pins::get();
    const std::lock_guard guard(pins.lock);
    pins.grace = std::max(grace, std::chrono::milliseconds(0));
}

std::chrono::milliseconds pin_grace() noexcept {
    auto& pins = detail::Pins::get();
    const std::lock_guard guard(pins.lock);
    return pins.grace;
}

std::uint64_t trim_pins() noexcept {
    auto& pins = detail::Pins::get();
    const std::lock_guard guard(pins.lock);
    const auto bytes = pins.trim(false);
    pins.changed.notify_all(); // perhaps nothing is left for the reaper
    return bytes;
}

} // namespace share
