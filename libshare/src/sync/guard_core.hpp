// SPDX-License-Identifier: MIT
// GuardCore: what stands behind a Guard. Watches the ownership of one buffer, and shows or hides its memory.
//
// What the CPU may do without waiting is a function of five facts, and set anew whenever one changes
// (wanted()): a bracket is had; devices have it; another process may have it; fences are pending; an access
// was let through. Thread: any. Locks, in the order in which they may be taken: lease_lock_, the Ownership's
// watch lock, lock_, and then either held_lock_ or the Ownership's short one or the worker's. While memory
// changes hands lock_ is held; the thread of the events takes held_lock_ alone, and waits for none. A lease
// is a Mapping like anybody's, taken by the worker, so that it syncs the dma-buf, waits for fences and asks
// other processes as every bracket does; whoever waits for the buffer in this process ends it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <share/guard.hpp>

#include "core/ownership.hpp"
#include "sync/guard_worker.hpp"
#include "sync/held_accesses.hpp"
#include "sync/screen.hpp"

namespace share::detail {

class GuardCore final : public AccessWatcher, public GuardWorker::Client, private Screen::Listener {
public:
    GuardCore(std::shared_ptr<Buffer> buffer, GuardOptions options);

    /// Watches from now on. Errors: as Guard::create; afterwards the core is of no use.
    static Result<void> start(const std::shared_ptr<GuardCore>& core, Means means);
    /// Lets everybody go on, and watches no more.
    static void stop(const std::shared_ptr<GuardCore>& core) noexcept;

    Result<void> cpu_begins(Access access, Deadline deadline) override;
    Result<void> cpu_ready() override;
    void cpu_ended() noexcept override;
    Result<void> device_begins(Access access, const std::string& who, Deadline deadline) override;
    void device_ended() noexcept override;
    void wanted() noexcept override;

    Guard::Counts counts() const;

private:
    using Clock = GuardWorker::Clock;

    Result<void> screen(Means means);

    void held(const os::HeldAccess& access) noexcept override;
    Clock::time_point work(Clock::time_point now) override;

    Shown level() const;
    bool fences_done(Access access) const;
    void sync_dmabufs() const;
    Result<void> settle();
    Result<void> show(Shown what);
    Shown shown() const noexcept;

    Clock::time_point serve_held(Clock::time_point now);
    Clock::time_point serve_report(Clock::time_point now, const std::string& holder);
    /// Nothing when it was had, or else who has the buffer.
    std::optional<std::string> try_lease(Clock::time_point now);
    bool let_through(const std::string& holder, Clock::time_point now);
    void end_lease() noexcept;
    void end_lease_locked() noexcept;
    void tell(GuardReport::What what, const std::string& holder, const HeldAccesses::Entry& entry,
              Clock::time_point now);

    const std::shared_ptr<Buffer> buffer_;
    const GuardOptions options_;
    const std::string name_; ///< of the buffer, for a person
    const unsigned process_;
    std::shared_ptr<GuardWorker> worker_;

    mutable std::mutex lock_;
    std::vector<std::unique_ptr<Screen>> screens_; ///< one for each memory
    bool cpu_ = false, device_ = false;
    bool cpu_ready_ = false; ///< a bracket was handed out: fences that come later are none of its business
    Access cpu_access_ = Access::read;
    std::optional<Clock::time_point> open_until_; ///< a wrong access was let through
    bool unsettled_ = false;                      ///< fences are pending, or the kernel refused: try again
    bool unguarded_ = false;                      ///< open, though only reading should be
    bool stopped_ = false, watching_ = false;
    Guard::Counts counts_;

    mutable std::mutex held_lock_;
    HeldAccesses held_;
    std::uint64_t held_count_ = 0;

    std::mutex lease_lock_;
    std::condition_variable lease_changed_;
    std::optional<Mapping> lease_;
    std::thread::id leasing_;   ///< who is taking one now
    bool lease_wanted_ = false; ///< somebody asked for the buffer since the lease was begun

    // Of the worker's thread alone.
    Clock::time_point lease_end_{}, next_lease_{}, next_report_{}, doubt_end_{};
    std::chrono::microseconds back_off_{};
    bool doubting_ = false;
};

} // namespace share::detail
