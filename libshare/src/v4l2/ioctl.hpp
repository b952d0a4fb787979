// SPDX-License-Identifier: MIT
// ioctl(2) on a V4L2 device, and the texts of what it refuses. Thin; no policy. Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <share/deadline.hpp>
#include <share/result.hpp>
#include <share/v4l2/device.hpp>

namespace share::v4l2 {

/// Again while a signal interrupts. 0, or the errno.
int call(int fd, unsigned long request, void* argument) noexcept;
/// The Error of a refusal. A device that is gone is `disconnected`, whatever was attempted.
Error refused(int os_errno, std::string operation, std::string detail = {});
/// "capture queue of vivid (/dev/video0)".
std::string queue_text(const DeviceInfo& device, std::string_view queue);

/// What poll(2) found on one fd; nothing until the deadline: `timed_out`.
struct Ready {
    bool data = false, event = false, error = false;
};
/// `fences`: their end wakes too (share::Fence::fd). Waits `longest_ms` at most, then all false.
Result<Ready> wait_ready(int fd, short events, std::span<const int> fences, Deadline deadline, int longest_ms,
                         const std::string& operation);

} // namespace share::v4l2
