// SPDX-License-Identifier: MIT
#include "sync/screen.hpp"

#include <algorithm>
#include <mutex>
#include <pthread.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace share::detail {
namespace {

std::atomic<unsigned> generation{1};

std::uintptr_t begin_of(std::span<std::byte> bytes) noexcept {
    return reinterpret_cast<std::uintptr_t>(bytes.data());
}

bool overlap(std::span<std::byte> a, std::span<std::byte> b) noexcept {
    return begin_of(a) < begin_of(b) + b.size() && begin_of(b) < begin_of(a) + a.size();
}

os::Allowed allowed(Shown what, Access access) noexcept {
    return {.reading = what != Shown::nothing && reads(access),
            .writing = what == Shown::all && writes(access)};
}

} // namespace

/// All of this process. The lock is never held while a screen changes: the thread of the events needs it.
struct Screens final : os::Userfault::Listener {
    std::mutex lock;
    std::vector<Screen*> all;
    std::weak_ptr<os::Userfault> faults;

    /// Never destroyed: threads of the program may outlive main().
    static Screens& of_this_process() {
        static Screens* const screens = [] {
            auto* made = new Screens;
            pthread_atfork([] { of_this_process().lock.lock(); }, [] { of_this_process().lock.unlock(); },
                           [] { of_this_process().in_child(); });
            return made;
        }();
        return *screens;
    }

    void held(const os::HeldAccess& access) noexcept override {
        const std::lock_guard guard(lock);
        for (auto* screen : all)
            if (access.address - begin_of(screen->bytes()) < screen->bytes().size())
                return screen->listener_.held(access);
    }

    Result<std::shared_ptr<os::Userfault>> open_faults() {
        const std::lock_guard guard(lock);
        if (auto open = faults.lock()) return open;
        auto opened = os::Userfault::open(*this);
        if (!opened) return std::move(opened).error();
        std::shared_ptr<os::Userfault> shared = std::move(*opened);
        faults = shared;
        return shared;
    }

    Result<void> add(Screen& screen) {
        const std::lock_guard guard(lock);
        for (const auto* other : all)
            if (overlap(other->bytes(), screen.bytes()))
                return make_error(Code::busy,
                                  fmt::format("guarding {} bytes at {}", screen.bytes().size(),
                                              static_cast<const void*>(screen.bytes().data())),
                                  "another guard has some of these pages already");
        all.push_back(&screen);
        return {};
    }

    void remove(Screen& screen) noexcept {
        const std::lock_guard guard(lock);
        std::erase(all, &screen);
    }

    // Anonymous memory of the child would take writes that nobody ever sees; better it ends them. With the
    // lock of before the fork; system calls only.
    void in_child() noexcept {
        generation.fetch_add(1);
        for (const auto* screen : all) {
            if (screen->notice_) screen->notice_->forget_in_child();
            if (screen->shown() != Shown::all) os::forbid(screen->bytes());
        }
        if (!all.empty())
            if (const auto parents = faults.lock()) parents->forget_in_child();
        faults.reset();
        all.clear();
        lock.unlock();
    }
};

unsigned process_generation() noexcept {
    return generation.load(std::memory_order_relaxed);
}

Screen::Screen(std::span<std::byte> bytes, const os::FileRange& file, Listener& listener) noexcept
    : bytes_(bytes), file_(file), listener_(listener) {}

Result<std::unique_ptr<Screen>> Screen::create(std::span<std::byte> bytes, const os::FileRange& file,
                                               std::size_t page, Means means, Listener& listener,
                                               std::string_view name, bool let_through) {
    if (bytes.empty() || begin_of(bytes) % page != 0 || bytes.size() % page != 0 || file.offset % page != 0)
        return make_error(
            Code::invalid_argument,
            fmt::format("guarding {} bytes at byte {} of fd {}", bytes.size(), file.offset, file.fd),
            fmt::format("only whole pages of {} bytes can be guarded", page));
    auto& screens = Screens::of_this_process();
    std::unique_ptr<Screen> screen(new Screen(bytes, file, listener));
    screen->process_ = process_generation();
    if (means == Means::mprotect) {
        auto notice = os::GuardNotice::create(bytes, name, let_through, file.access);
        if (!notice) {
            screen->process_ = 0; // nothing to undo
            return std::move(notice).error();
        }
        screen->notice_.emplace(std::move(*notice));
    } else {
        auto faults = screens.open_faults();
        if (!faults) {
            screen->process_ = 0;
            return std::move(faults).error();
        }
        screen->faults_ = std::move(*faults);
    }
    if (auto added = screens.add(*screen); !added) {
        screen->process_ = 0;
        return std::move(added).error();
    }
    return screen;
}

Screen::~Screen() {
    if (process_ == process_generation()) {
        if (shown() != Shown::all) (void)change(Shown::all);
        Screens::of_this_process().remove(*this);
    } else if (process_ != 0) {
        (void)new std::shared_ptr(std::move(faults_)); // its thread is the parent's: never joined
    }
}

Result<void> Screen::show(Shown what) {
    // With mprotect the reporter may have opened it meanwhile.
    if (what == shown() && faults_) return {};
    if (process_ != process_generation())
        return make_error(Code::unsupported, "changing who may touch guarded memory",
                          "this is a forked child; only the process that made a guard can use it");
    return change(what);
}

void Screen::wake() noexcept {
    if (faults_ && process_ == process_generation()) faults_->wake(bytes_);
}

void Screen::set_holder(std::string_view holder) noexcept {
    if (notice_) notice_->set_holder(holder);
}

Result<void> Screen::change(Shown what) {
    const Shown before = shown();
    // Hidden before it is done, shown after: a child forked in between must find what is hidden hidden.
    if (what != Shown::all) shown_.store(std::min(what, before), std::memory_order_release);
    auto done = !faults_                 ? os::protect(bytes_, allowed(what, file_.access))
                : what == Shown::all     ? faults_->let_go(bytes_, file_)
                : what == Shown::reading ? faults_->hold_writes(bytes_, file_)
                                         : faults_->hold_all(bytes_, file_);
    shown_.store(done ? what : before, std::memory_order_release);
    return done;
}

} // namespace share::detail
