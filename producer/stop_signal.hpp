// SPDX-License-Identifier: MIT
// StopSignal: SIGINT and SIGTERM as a readable fd, so that the program ends through its destructors.
// Made first in main(), before any thread. Source: signalfd(2).
#pragma once

#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace producer {

class StopSignal {
public:
    /// Blocks both signals for the process and ignores SIGPIPE. Errors: io.
    static share::Result<StopSignal> create();
    int fd() const noexcept { return fd_.get(); }
    /// True once one of the signals came.
    bool requested();

private:
    explicit StopSignal(share::UniqueFd fd) noexcept : fd_(std::move(fd)) {}
    share::UniqueFd fd_;
    bool requested_ = false;
};

} // namespace producer
