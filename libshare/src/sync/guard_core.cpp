// SPDX-License-Identifier: MIT
#include "sync/guard_core.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "core/buffer_access.hpp"
#include "os/dmabuf.hpp"
#include "os/sync_helper.hpp"

namespace share::detail {
namespace {

using namespace std::chrono_literals;

// Long enough that the change of the mapping is worth it, short beside a frame.
constexpr auto lease_time = 5ms;
// Between two leases, so that a thread that never stops does not keep another process out.
constexpr auto rest_time = 5ms;
constexpr auto first_back_off = 200us, longest_back_off = 5000us;
constexpr auto told_again = 100ms; // of another process's hold, whose turns cannot be told apart
constexpr auto doubt_time = 20ms;
// Taking one does not wait, but reads /proc for the name of who is in the way.
constexpr auto longest_wait_for_lease = 20ms;

std::string describe(const Buffer& buffer) {
    const auto& layout = buffer.layout();
    const auto& memory = *buffer.memory();
    return fmt::format("{}x{} {} buffer in {} '{}'", layout.width(), layout.height(),
                       fourcc_text(layout.format()), memory.heap(), memory.name());
}

std::size_t memory_count(const Buffer& buffer) {
    return buffer.planes_share_memory() ? 1 : buffer.layout().plane_count();
}

Error forked(std::string_view name) {
    return make_error(Code::unsupported, fmt::format("taking the guarded {}", name),
                      "this is a forked child; only the process that made the guard can use the buffer");
}

} // namespace

GuardCore::GuardCore(std::shared_ptr<Buffer> buffer, GuardOptions options)
    : buffer_(std::move(buffer)),
      options_(std::move(options)),
      name_(describe(*buffer_)),
      process_(process_generation()) {}

Result<void> GuardCore::screen(Means means) {
    const auto operation = [&] { return fmt::format("guarding a {}", name_); };
    for (std::size_t m = 0; m < memory_count(*buffer_); ++m) {
        auto& memory = *buffer_->memory(m);
        const Access access = memory.traits().writable ? Access::read_write : Access::read;
        if (memory.fd() < 0)
            return make_error(Code::unsupported, operation(),
                              fmt::format("{} memory is no file that could be mapped again", memory.heap()));
        auto view = memory.view(access);
        if (!view) return std::move(view).error();
        const std::uint64_t page = memory.traits().page_size;
        const std::uint64_t begin = buffer_->planes_share_memory() ? buffer_->offset() : 0;
        // Layouts that were described by others may claim more than there is.
        const std::uint64_t end = buffer_->planes_share_memory()
                                      ? std::min(begin + buffer_->layout().size(), memory.size())
                                      : memory.size();
        const std::uint64_t last = (end + page - 1) / page * page;
        if (begin % page != 0 || (last != end && last < memory.size() && !options_.owns_last_page))
            return make_error(
                Code::invalid_argument, operation(),
                fmt::format("its bytes {} to {} share a page of {} bytes with what lies {} it; place "
                            "it on whole pages, or say owns_last_page if it is alone there",
                            begin, end, page, begin % page != 0 ? "before" : "behind"));
        // The mapping of a file that ends within a page has all of that page.
        auto made = Screen::create({view->data() + begin, static_cast<std::size_t>(last - begin)},
                                   {memory.fd(), begin, access}, page, means, *this, name_,
                                   options_.mode == GuardMode::report);
        if (!made) return std::move(made).error();
        screens_.push_back(std::move(*made));
    }
    return {};
}

Result<void> GuardCore::start(const std::shared_ptr<GuardCore>& core, Means means) {
    auto worker = GuardWorker::hire(core);
    if (!worker) return std::move(worker).error();
    core->worker_ = std::move(*worker);
    auto begun = core->screen(means);
    if (begun) core->watching_ = BufferAccess::ownership(*core->buffer_).set_watcher(core);
    if (begun && !core->watching_)
        begun = make_error(Code::busy, fmt::format("guarding a {}", core->name_),
                           "it has a guard already, or somebody holds it; guard a buffer before it is used");
    if (begun) {
        const std::lock_guard guard(core->lock_);
        begun = core->settle();
        if (core->unsettled_) core->worker_->call();
    }
    if (!begun) stop(core);
    return begun;
}

void GuardCore::stop(const std::shared_ptr<GuardCore>& core) noexcept {
    if (core->process_ != process_generation()) return; // all of it is the parent's
    if (core->watching_) BufferAccess::ownership(*core->buffer_).set_watcher(nullptr);
    {
        const std::lock_guard guard(core->lock_);
        core->stopped_ = true;
        (void)core->settle();
    }
    core->worker_->dismiss(core);
    core->end_lease();
    const std::lock_guard guard(core->lock_);
    core->screens_.clear(); // shows what could not be shown before
}

// What the CPU may do

bool GuardCore::fences_done(Access access) const {
    for (std::size_t m = 0; m < memory_count(*buffer_); ++m) {
        const auto dmabuf = BufferAccess::dmabuf_to_sync(*buffer_, m);
        if (dmabuf.fd < 0) continue;
        const auto done = os::fences_done(dmabuf.fd, access, Deadline::none());
        if (done && !*done) return false;
    }
    return true;
}

/// For accesses without a bracket: what the device wrote becomes visible, or what they wrote goes to it.
void GuardCore::sync_dmabufs() const {
    if (!fences_done(Access::read_write)) return; // the kernel would wait for them, and so for the device
    for (std::size_t m = 0; m < memory_count(*buffer_); ++m) {
        const auto dmabuf = BufferAccess::dmabuf_to_sync(*buffer_, m);
        if (dmabuf.fd < 0) continue;
        if (os::sync_begin_guarded(dmabuf.fd, Access::read_write, Deadline::none()))
            (void)os::sync_end(dmabuf.fd, Access::read_write);
    }
}

Shown GuardCore::level() const {
    if (stopped_ || open_until_) return Shown::all;
    if (cpu_) {
        if (!cpu_ready_ && !fences_done(cpu_access_)) return Shown::nothing;
        // A writer is still there when it hands over to a device.
        return device_ && !writes(cpu_access_) ? Shown::reading : Shown::all;
    }
    if (device_ || BufferAccess::ownership(*buffer_).arbiter()) return Shown::nothing;
    return fences_done(Access::read_write) ? Shown::all : Shown::nothing;
}

Shown GuardCore::shown() const noexcept {
    return screens_.empty() ? Shown::all : screens_.front()->shown();
}

Result<void> GuardCore::show(Shown what) {
    const Shown before = shown();
    if (what == before) return {};
    for (std::size_t i = 0; i < screens_.size(); ++i)
        if (auto done = screens_[i]->show(what); !done) {
            while (i-- > 0)
                (void)screens_[i]->show(before);
            return done;
        }
    if (what < before) ++counts_.taken;
    if (what > before) ++counts_.given;
    if (what == Shown::all) {
        const std::lock_guard guard(held_lock_);
        held_.clear();
    }
    return {};
}

Result<void> GuardCore::settle() {
    const Shown before = shown(), what = level();
    if (what == Shown::all && before != what && !cpu_) sync_dmabufs();
    auto done = show(what);
    // A bracket has its right to read; who writes meanwhile without one can only be held with it.
    const bool unguarded = !done && what == Shown::reading && done.error().code == Code::unsupported;
    if (unguarded) done = show(Shown::all);
    if (unguarded && !std::exchange(unguarded_, true)) ++counts_.unguarded;
    unguarded_ = unguarded;
    if (done && what < before && device_) sync_dmabufs();
    unsettled_ = !done || (what == Shown::nothing && (cpu_ || !device_) && !fences_done(Access::read_write));
    return done;
}

// What happens to the buffer

Result<void> GuardCore::cpu_begins(Access access, Deadline) {
    if (process_ != process_generation()) return forked(name_);
    const std::lock_guard guard(lock_);
    cpu_ = true;
    cpu_access_ = access;
    auto done = settle();
    if (!done) {
        cpu_ = false;
        (void)settle();
    }
    if (unsettled_) worker_->call();
    return done;
}

Result<void> GuardCore::cpu_ready() {
    if (process_ != process_generation()) return forked(name_);
    const std::lock_guard guard(lock_);
    cpu_ready_ = cpu_;
    return unsettled_ ? settle() : Result<void>();
}

void GuardCore::cpu_ended() noexcept {
    if (process_ != process_generation()) return;
    const std::lock_guard guard(lock_);
    cpu_ = cpu_ready_ = false;
    (void)settle();
    if (unsettled_) worker_->call();
}

Result<void> GuardCore::device_begins(Access, const std::string& who, Deadline) {
    if (process_ != process_generation()) return forked(name_);
    const std::lock_guard guard(lock_);
    const bool before = std::exchange(device_, true);
    open_until_.reset();
    for (const auto& screen : screens_)
        screen->set_holder(who);
    auto done = settle();
    if (!done) {
        device_ = before;
        (void)settle();
    }
    return done;
}

void GuardCore::device_ended() noexcept {
    if (process_ != process_generation()) return;
    const std::lock_guard guard(lock_);
    device_ = false;
    open_until_.reset();
    for (const auto& screen : screens_)
        screen->set_holder("another process or nobody");
    (void)settle();
    if (unsettled_ || shown() != Shown::all) worker_->call();
}

void GuardCore::wanted() noexcept {
    if (process_ != process_generation()) return;
    std::unique_lock guard(lease_lock_);
    lease_wanted_ = true;
    // A lease that is just being taken is in the way as well. The worker, who takes it, comes here himself
    // when he finds the buffer taken.
    if (leasing_ != std::this_thread::get_id())
        lease_changed_.wait_for(guard, longest_wait_for_lease, [&] { return leasing_ == std::thread::id(); });
    end_lease_locked();
}

// What came at the wrong time

void GuardCore::held(const os::HeldAccess& access) noexcept {
    {
        const std::lock_guard guard(held_lock_);
        held_.add(access, Clock::now());
        ++held_count_;
    }
    worker_->call();
}

// Ends with the lock held: whoever wants the buffer next must find the lease gone.
void GuardCore::end_lease_locked() noexcept {
    if (lease_) (void)lease_->end();
    lease_.reset();
}

void GuardCore::end_lease() noexcept {
    const std::lock_guard guard(lease_lock_);
    end_lease_locked();
}

GuardCore::Clock::time_point GuardCore::work(Clock::time_point now) {
    auto due = Clock::time_point::max();
    {
        const std::lock_guard guard(lock_);
        if (stopped_) return due;
        const bool over = open_until_ && now >= *open_until_;
        if (over) open_until_.reset();
        if (over || unsettled_) (void)settle();
        if (open_until_) due = *open_until_;
        const std::lock_guard order(held_lock_);
        if (unsettled_) due = std::min<Clock::time_point>(due, now + (held_.empty() ? 20ms : 1ms));
        if (shown() == Shown::all) held_.clear(); // told of after they went on
    }
    if (lease_end_ != Clock::time_point{}) {
        if (now < lease_end_) return std::min(due, lease_end_);
        end_lease();
        lease_end_ = {};
        next_lease_ = now + rest_time;
    }
    bool none = false;
    {
        const std::lock_guard guard(held_lock_);
        none = held_.empty();
    }
    if (!none) return std::min(due, serve_held(now));
    next_report_ = {};
    doubting_ = false;
    return due;
}

GuardCore::Clock::time_point GuardCore::serve_held(Clock::time_point now) {
    std::optional<std::string> holder;
    bool can_lease = false;
    {
        const std::lock_guard guard(lock_);
        if (device_)
            holder = fmt::format("{} still holds it", BufferAccess::ownership(*buffer_).holder());
        else if (unsettled_)
            holder = "a fence of a device's work on it is pending";
        else if (cpu_)
            holder = "a CPU mapping reads it beside a device";
        else
            can_lease = true;
    }
    auto due = Clock::time_point::max();
    if (can_lease) {
        if (now < next_lease_) return next_lease_;
        holder = try_lease(now);
        if (!holder) return lease_end_;
        back_off_ = std::clamp<std::chrono::microseconds>(2 * back_off_, first_back_off, longest_back_off);
        due = next_lease_ = now + back_off_;
    }
    if (options_.mode == GuardMode::report) return let_through(*holder, now) ? now : now + told_again;
    return std::min(due, serve_report(now, *holder));
}

std::optional<std::string> GuardCore::try_lease(Clock::time_point now) {
    {
        const std::lock_guard guard(lease_lock_);
        lease_wanted_ = false;
        leasing_ = std::this_thread::get_id();
    }
    // Not with the lock held: this calls wanted() itself, when it finds the buffer taken.
    auto mapping = [&]() -> Result<Mapping> {
        try {
            return buffer_->map(buffer_->memory()->traits().writable ? Access::read_write : Access::read,
                                Deadline::none());
        } catch (const std::bad_alloc&) {
            return make_error(Code::out_of_memory, "taking a lease", "no memory for it");
        }
    }();
    {
        const std::lock_guard guard(lease_lock_);
        leasing_ = {};
        if (mapping) lease_ = std::move(*mapping);
        // Who began to wait before has called wanted() then, and not again.
        if (lease_wanted_ || BufferAccess::ownership(*buffer_).contended()) end_lease_locked();
        lease_changed_.notify_all();
    }
    if (!mapping) return mapping.error().detail;
    back_off_ = {};
    lease_end_ = now + lease_time;
    const std::lock_guard guard(lock_);
    ++counts_.leases;
    return std::nullopt;
}

bool GuardCore::let_through(const std::string& holder, Clock::time_point now) {
    HeldAccesses::Entry first;
    {
        const std::lock_guard guard(lock_);
        {
            // Somebody may have given it back meanwhile, and so let everybody through.
            const std::lock_guard order(held_lock_);
            if (shown() == Shown::all || held_.empty()) return true;
            first = held_.oldest();
        }
        open_until_ = device_ ? Clock::time_point::max() : now + told_again;
        if (!settle()) {
            open_until_.reset();
            return false;
        }
    }
    tell(GuardReport::What::let_through, holder, first, now);
    return true;
}

GuardCore::Clock::time_point GuardCore::serve_report(Clock::time_point now, const std::string& holder) {
    if (!options_.report) return Clock::time_point::max();
    HeldAccesses::Entry oldest;
    {
        const std::lock_guard guard(held_lock_);
        if (doubting_ && now < doubt_end_) return doubt_end_;
        const bool doubted = std::exchange(doubting_, false);
        if (doubted) held_.drop_unconfirmed();
        if (held_.empty()) return Clock::time_point::max();
        oldest = held_.oldest();
        const auto due = std::max<Clock::time_point>(oldest.since + options_.report_after, next_report_);
        if (now < due) return due;
        if (!doubted) held_.doubt();
        doubting_ = !doubted;
    }
    if (doubting_) {
        // It may have gone on before its event was read. Who really waits comes back at once.
        const std::lock_guard guard(lock_);
        for (const auto& screen : screens_)
            screen->wake();
        return doubt_end_ = now + doubt_time;
    }
    next_report_ = now + options_.report_after;
    tell(GuardReport::What::still_held, holder, oldest, now);
    return next_report_;
}

void GuardCore::tell(GuardReport::What what, const std::string& holder, const HeldAccesses::Entry& entry,
                     Clock::time_point now) {
    if (!options_.report) return;
    GuardReport report;
    report.what = what;
    report.buffer = name_;
    report.holder = holder;
    report.address = entry.access.address;
    report.write = entry.access.write;
    report.thread = entry.access.thread;
    report.waited = std::chrono::duration_cast<std::chrono::milliseconds>(now - entry.since);
    {
        const std::lock_guard guard(lock_);
        for (const auto& screen : screens_) {
            const auto distance =
                entry.access.address - reinterpret_cast<std::uintptr_t>(screen->bytes().data());
            if (distance < screen->bytes().size()) report.offset = screen->file().offset + distance;
        }
        ++counts_.reported;
    }
    options_.report(report);
}

Guard::Counts GuardCore::counts() const {
    const std::lock_guard guard(lock_);
    auto counts = counts_;
    const std::lock_guard order(held_lock_);
    counts.held = held_count_;
    counts.waiting = held_.size();
    return counts;
}

} // namespace share::detail
