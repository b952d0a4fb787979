// SPDX-License-Identifier: MIT
// UniqueFd: the owner of one file descriptor.
//
// Convention of the whole toolkit: a UniqueFd parameter takes ownership, an `int fd` parameter borrows.
// Thread: a value type; no locking. Errors: none (close errors are not reportable in a useful way).
#pragma once

#include <utility>

#include <share/api.hpp>

namespace share {

class SHARE_API [[nodiscard]] UniqueFd {
public:
    UniqueFd() noexcept = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    ~UniqueFd() { reset(); }
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;

    /// Borrowed: stays owned by this object. -1 when empty.
    int get() const noexcept { return fd_; }
    bool valid() const noexcept { return fd_ >= 0; }
    explicit operator bool() const noexcept { return valid(); }
    /// Gives ownership to the caller.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    /// Closes what is held and takes `fd`. Keeps errno.
    void reset(int fd = -1) noexcept;

private:
    int fd_ = -1;
};

} // namespace share
