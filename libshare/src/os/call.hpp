// SPDX-License-Identifier: MIT
// System calls that a signal may interrupt: repeated until they say something. Thin; no policy. Thread: any.
#pragma once

#include <string>

#include <share/deadline.hpp>
#include <share/result.hpp>

namespace share::os {

/// ioctl(2), again after EINTR and EAGAIN. -1 with errno, as ioctl.
int retry_ioctl(int fd, unsigned long request, void* argument) noexcept;

/// poll(2) of one fd: true when one of `events` has come, false when the deadline passed first; with
/// Deadline::none() it only asks. Errors: invalid_argument (the fd reports an error: not what it should be).
Result<bool> wait_for(int fd, short events, Deadline deadline, const std::string& operation);

} // namespace share::os
