// SPDX-License-Identifier: MIT
// Ownership: who may touch a Buffer now. Many readers or one writer; CPU mappings and attachments count
// alike. A consistent buffer excludes nobody, and only counts.
//
// A hold is taken in three steps and given back in the opposite order:
//   1. inside this process, by this object's lock;
//   2. against other processes, by the Arbiter, where the buffer has one;
//   3. the AccessWatcher is told, where there is one: it may refuse.
// No lock of this object is held while step 2 waits; one of step 3's own is held while the watcher is told.
// One deadline holds for all steps. Should a step fail or throw, the earlier ones are undone.
//
// Fairness: first come, first served, with patience. Somebody who has waited for `patience` is not overtaken
// any more by who came later and would keep him out. Until then readers join readers freely. A reader behind
// such a writer waits for `courtesy` at most, and then joins the readers that are there: it may be one of
// them itself, and the writer wait for it. So readers that each let go before they ask again, within
// `courtesy`, never starve a writer; one that always takes the next hold before it releases the last one can.
// A writer that waits for other processes lets readers of this one that have waited for `courtesy` go first,
// now and then: the other process may wait for them.
// Thread: any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <share/deadline.hpp>
#include <share/memory.hpp>
#include <share/sharing.hpp>

namespace share::detail {

/// Told whenever a Buffer becomes free; a Pool shares one among its buffers.
struct IdleSignal {
    std::mutex lock;
    std::condition_variable changed;
    void notify() {
        const std::lock_guard guard(lock);
        changed.notify_all();
    }
};

/// Keeps other processes out; bound to one buffer's bytes. Called with compatible holds only: many readers or
/// one writer of this process. From any thread, and from several at once. Implemented in src/sync.
class Arbiter {
public:
    virtual ~Arbiter() = default;
    /// Waits until the deadline for other processes. Errors: busy, its detail names who is in the way.
    virtual Result<void> acquire(Access access, Deadline deadline) = 0;
    /// The write hold becomes a read hold; no other writer can come in between.
    virtual Result<void> downgrade() = 0;
    virtual void release(Access access) noexcept = 0;
};

/// Told what happens to the mappings and attachments of this process: the guard's way in. Its calls come one
/// at a time, while the hold is had and no lock of this object but one that only these calls take, for the
/// first hold of a kind and after the last one only; a read hold never changes into a write hold in between.
/// A device and the CPU may overlap when both read. Inside these calls it may ask the Ownership who is there
/// (arbiter(), contended(), holder()), and for nothing else.
class AccessWatcher {
public:
    virtual ~AccessWatcher() = default;
    /// Before the first Mapping is handed out. A refusal or exception is the caller's of Buffer::map().
    virtual Result<void> cpu_begins(Access access, Deadline deadline) = 0;
    /// Before each Mapping is handed out, when the fences that it had to wait for are done. As cpu_begins().
    virtual Result<void> cpu_ready() { return {}; }
    /// After the last Mapping ended, before anybody else can have the buffer. Also when the buffer has got an
    /// arbiter.
    virtual void cpu_ended() noexcept = 0;
    /// Before the first Attachment is handed out; `who` is its name. Again, with `read`, when the one device
    /// that wrote goes on as a reader.
    virtual Result<void> device_begins(Access access, const std::string& who, Deadline deadline) = 0;
    /// After the last Attachment went, before anybody else can have the buffer.
    virtual void device_ended() noexcept = 0;
    /// Somebody in this process begins to wait for the buffer. Comes at any time, several at once.
    virtual void wanted() noexcept {}
};

enum class Holder : std::uint8_t { cpu, device };

class Ownership {
public:
    static constexpr std::chrono::milliseconds patience{50}, courtesy{500};

    explicit Ownership(Sharing sharing = Sharing::exclusive) : sharing_(sharing) {}

    /// `who` names an attachment in errors. Errors: busy (its detail names who is in the way; the operation
    /// is left to the caller), or the arbiter's or watcher's.
    Result<void> acquire(Holder kind, Access access, const std::string& who, Deadline deadline);
    void release(Holder kind, Access access, const std::string& who) noexcept;
    /// A CPU hold has waited for whatever it had to: its Mapping is about to be handed out. Errors: the
    /// watcher's; then the hold is still to be released.
    Result<void> cpu_ready();
    /// A write hold becomes a device's read hold named `to`, without a gap. Errors: the arbiter's; then the
    /// hold is as before.
    Result<void> hand_over(Holder kind, const std::string& from, const std::string& to);

    bool idle() const;
    /// Who holds it, for a person: the attachment that is there longest, or else a CPU mapping.
    std::string holder() const;
    /// Somebody in this process waits for it.
    bool contended() const;
    void set_signal(std::shared_ptr<IdleSignal> signal);
    /// False when somebody holds the buffer, or another arbiter is there already. The watcher is told that no
    /// Mapping is had, so that it looks again.
    bool set_arbiter(std::shared_ptr<Arbiter> arbiter);
    std::shared_ptr<Arbiter> arbiter() const;
    /// False when somebody holds the buffer, it is consistent, or another watcher is there already. Null
    /// takes the watcher away, whoever holds the buffer: afterwards none of its calls is running or will
    /// come, but wanted().
    bool set_watcher(std::shared_ptr<AccessWatcher> watcher);

private:
    struct Waiter {
        std::uint64_t ticket;
        Access access;
        std::chrono::steady_clock::time_point since;
    };
    class Waiting;
    /// One acquire()'s place in the order, kept when it gives its reservation back for a moment.
    struct Turn {
        std::optional<std::uint64_t> ticket;
        std::chrono::steady_clock::time_point since;
        bool again = false;
    };
    /// Who is asked besides this object. Neither comes while somebody holds the buffer.
    struct Parties {
        std::shared_ptr<Arbiter> arbiter;
        bool watched = false;
    };
    bool idle_locked() const noexcept { return writers_ == 0 && readers_ == 0; }
    bool free_for(Access access, std::uint64_t ticket, bool polite) const noexcept;
    std::string holder_locked() const;
    bool gives_way(Access access, const Turn& turn) const noexcept;
    Result<void> reserve(Access access, const std::string& who, Deadline deadline, Turn& turn,
                         Parties& parties);
    void unreserve(Access access, const std::string& who) noexcept;
    Result<void> tell_begin(Holder kind, Access access, const std::string& who, Deadline deadline);
    void tell_end(Holder kind) noexcept;

    const Sharing sharing_;
    mutable std::mutex lock_;
    std::condition_variable changed_;
    unsigned readers_ = 0;
    unsigned writers_ = 0;             ///< more than one only when consistent
    std::vector<std::string> holders_; ///< of attachments
    std::vector<Waiter> waiting_;
    std::uint64_t next_ticket_ = 0; ///< in the order of coming
    std::shared_ptr<IdleSignal> signal_;
    std::shared_ptr<Arbiter> arbiter_;
    std::shared_ptr<AccessWatcher> watcher_; ///< written under both locks

    std::mutex watch_lock_; ///< taken before lock_, held while the watcher is told
    unsigned cpu_told_ = 0, devices_told_ = 0;
};

} // namespace share::detail
