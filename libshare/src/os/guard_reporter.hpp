// SPDX-License-Identifier: MIT
// GuardNotice: one place in the table that the guards' SIGSEGV handler reads: a range of addresses, and what
// to say of an access to it. For guards whose means is mprotect.
//
// Owner: a Screen. Thread: one at a time; the handler reads on any thread, lock-free. Source:
// signal-safety(7).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <share/memory.hpp>
#include <share/result.hpp>

namespace share::os {

class GuardNotice {
public:
    static constexpr std::size_t capacity = 128;

    /// `let_through`: the access goes on after it was told of; the whole range is open then, until it is
    /// hidden again, to what the mapping's `access` is. What that does not have never goes on, nor, where it
    /// is read only, what the processor does not tell from a write (all but x86_64). Errors: unavailable (the
    /// program has not called install_guard_reporter()), limit.
    static Result<GuardNotice> create(std::span<std::byte> bytes, std::string_view name, bool let_through,
                                      Access access);
    GuardNotice(GuardNotice&& other) noexcept;
    GuardNotice& operator=(GuardNotice&&) = delete;
    ~GuardNotice();
    /// Who has the buffer. Cut at 160 bytes, as the name is.
    void set_holder(std::string_view holder) noexcept;
    /// In a forked child: what is hidden stays hidden. Async-signal-safe.
    void forget_in_child() const noexcept;

private:
    explicit GuardNotice(int place) noexcept : place_(place) {}
    int place_;
};

/// See share/guard.hpp.
Result<void> install_reporter();
bool reporter_installed() noexcept;

} // namespace share::os
