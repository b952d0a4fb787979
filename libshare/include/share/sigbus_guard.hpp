// SPDX-License-Identifier: MIT
// SIGBUS guard: memory that a peer can truncate is read inside a guard, or not at all.
//
// The program installs the handler once (a library never does so on its own); any thread may then guard
// address ranges. A SIGBUS inside a guarded range puts zero pages under it and sets its flag: the reader
// goes on with zeros and asks tripped() afterwards. A SIGBUS elsewhere goes to the handler that was there
// before. Async-signal-safe: a fixed table of atomics, no lock. Source: mmap(2), sigaction(2).
#pragma once

#include <cstddef>
#include <span>

#include <share/api.hpp>
#include <share/result.hpp>

namespace share {

/// Idempotent. Chains to the previous handler. Errors: io.
SHARE_API Result<void> install_sigbus_guard();
SHARE_API bool sigbus_guard_installed() noexcept;

class SHARE_API [[nodiscard]] GuardedRegion {
public:
    /// How many regions can be guarded at a time.
    static constexpr std::size_t capacity = 256;

    /// `bytes` must be a MAP_SHARED file mapping that stays in place until the guard is gone.
    /// Errors: unavailable (handler not installed), limit (table full).
    static Result<GuardedRegion> create(std::span<const std::byte> bytes);
    GuardedRegion(GuardedRegion&&) noexcept;
    GuardedRegion& operator=(GuardedRegion&&) noexcept;
    ~GuardedRegion();

    /// True once bytes of the region were missing: what was read is partly zeros. The mapping keeps its zero
    /// pages, so throw it away.
    bool tripped() const noexcept;

private:
    explicit GuardedRegion(int slot) noexcept : slot_(slot) {}
    void release() noexcept;
    int slot_ = -1;
};

} // namespace share
