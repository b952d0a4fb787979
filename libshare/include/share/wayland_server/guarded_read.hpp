// SPDX-License-Identifier: MIT
// GuardedRead, with_guard(): reads a client's buffer whose file the client can truncate at any moment.
//
// The program installs the SIGBUS guard (share::install_sigbus_guard()) once. Memory that cannot shrink is
// read without a guard. When bytes were missing the read ends with `corrupt`, and every later read of that
// wl_shm pool too; what was read meanwhile is partly zeros. Thread: any. Source: mmap(2),
// share/sigbus_guard.hpp.
#pragma once

#include <array>
#include <functional>
#include <optional>

#include <share/buffer.hpp>
#include <share/sigbus_guard.hpp>

namespace share::wayland_server {

/// What can be known without reading: `corrupt` when the file is too short now, or bytes were missing
/// before. Costs a system call for memory that can lose pages, nothing otherwise.
SHARE_API Result<void> check_present(const Buffer& buffer);

class SHARE_API [[nodiscard]] GuardedRead {
public:
    /// Errors: as Buffer::map, corrupt (the file is too short already), unavailable (no guard installed).
    static Result<GuardedRead> begin(Buffer& buffer, Deadline deadline);
    GuardedRead(GuardedRead&&) noexcept = default;
    GuardedRead& operator=(GuardedRead&&) = delete;
    ~GuardedRead();
    const Mapping& mapping() const noexcept { return mapping_; }
    /// False where the memory cannot shrink and so needs no guard.
    bool guarded() const noexcept;
    /// Idempotent. Errors: corrupt (bytes were missing).
    Result<void> end() noexcept;

private:
    GuardedRead(std::shared_ptr<Buffer> buffer, Mapping mapping) noexcept;
    std::shared_ptr<Buffer> buffer_;
    Mapping mapping_;
    std::array<std::optional<GuardedRegion>, max_planes> guards_;
};

/// Calls `read(const Mapping&)` inside the guard.
template<class F>
Result<void> with_guard(Buffer& buffer, Deadline deadline, F&& read) {
    auto access = GuardedRead::begin(buffer, deadline);
    if (!access) return std::move(access).error();
    std::invoke(std::forward<F>(read), access->mapping());
    return access->end();
}

} // namespace share::wayland_server
