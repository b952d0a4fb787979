// SPDX-License-Identifier: MIT
// Screen: stands before a range of this process's mapping of a file and lets nobody, readers or everybody of
// the CPU pass. What it stops waits (userfaultfd), or ends in SIGSEGV (mprotect) where the kernel refuses
// that.
//
// Owner: a guard. Destroying it shows everything again and wakes everybody. The mapping must outlive it. All
// screens of a process share one userfaultfd and its thread, which go with the last one. In a forked child
// the screens of its parent are not there: what they hid ends in SIGSEGV, and their calls do nothing. Thread:
// show() by one thread at a time; the listener is called on the thread of the events. Errors: as
// os::Userfault. Source: userfaultfd(2), mprotect(2), pthread_atfork(3).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "os/guard_reporter.hpp"
#include "os/userfault.hpp"

namespace share::detail {

/// What the CPU may do without waiting.
enum class Shown : std::uint8_t { nothing, reading, all };

enum class Means : std::uint8_t {
    userfaultfd, ///< stopped accesses wait until they are let go
    mprotect,    ///< stopped accesses get SIGSEGV
};

class Screen {
public:
    using Listener = os::Userfault::Listener;

    /// `bytes` are whole pages of a shared mapping of the file, `file` says which; nothing is hidden yet.
    /// `name` is what mprotect's reports say, which go on with the access where `let_through`.
    /// Errors: invalid_argument (no whole pages of `page` bytes), busy (another screen has some of the
    /// bytes), also those of Userfault::open(), or of GuardNotice.
    static Result<std::unique_ptr<Screen>> create(std::span<std::byte> bytes, const os::FileRange& file,
                                                  std::size_t page, Means means, Listener& listener,
                                                  std::string_view name = {}, bool let_through = false);
    ~Screen();
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    std::span<std::byte> bytes() const noexcept { return bytes_; }
    const os::FileRange& file() const noexcept { return file_; }
    Means means() const noexcept { return faults_ ? Means::userfaultfd : Means::mprotect; }
    Shown shown() const noexcept { return shown_.load(std::memory_order_acquire); }
    /// What was stopped and may pass now goes on. After an error everything is as it was. Errors: unsupported
    /// (`reading` of a dma-buf, or on a kernel that tracks no writes).
    Result<void> show(Shown what);
    /// Lets whoever waits try again, and be told of again.
    void wake() noexcept;
    /// For mprotect's reports.
    void set_holder(std::string_view holder) noexcept;

private:
    friend struct Screens;
    Screen(std::span<std::byte> bytes, const os::FileRange& file, Listener& listener) noexcept;
    Result<void> change(Shown what);
    std::span<std::byte> bytes_;
    os::FileRange file_;
    Listener& listener_;
    std::shared_ptr<os::Userfault> faults_; ///< null: mprotect
    std::optional<os::GuardNotice> notice_; ///< of mprotect
    std::atomic<Shown> shown_{Shown::all};
    unsigned process_ = 0;
};

/// Grows in each forked child: what was made under another number is the parent's.
unsigned process_generation() noexcept;

} // namespace share::detail
