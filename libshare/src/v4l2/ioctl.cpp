// SPDX-License-Identifier: MIT
#include "ioctl.hpp"

#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include <fmt/format.h>

namespace share::v4l2 {

int call(int fd, unsigned long request, void* argument) noexcept {
    int rc = 0;
    do
        rc = ::ioctl(fd, request, argument);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? errno : 0;
}

Error refused(int os_errno, std::string operation, std::string detail) {
    if (os_errno == ENODEV)
        return {Code::disconnected, os_errno, std::move(operation),
                "the device is gone: it was unplugged or its driver was unbound"};
    return error_from_errno(os_errno, std::move(operation), std::move(detail));
}

std::string queue_text(const DeviceInfo& device, std::string_view queue) {
    return fmt::format("{} queue of {} ({})", queue, device.driver, device.path);
}

Result<Ready> wait_ready(int fd, short events, std::span<const int> fences, Deadline deadline, int longest_ms,
                         const std::string& operation) {
    std::vector<pollfd> polled{{fd, events, 0}};
    for (const int fence : fences)
        polled.push_back({fence, POLLIN, 0});
    const int wait = std::min(deadline.remaining_ms(), longest_ms);
    const int rc = ::poll(polled.data(), polled.size(), wait);
    if (rc < 0 && errno != EINTR) return refused(errno, operation, "poll");
    if (rc == 0 && deadline.passed())
        return make_error(Code::timed_out, operation, "the device gave nothing until the deadline");
    const short got = rc > 0 ? polled[0].revents : short{0};
    return Ready{(got & (POLLIN | POLLOUT)) != 0, (got & POLLPRI) != 0,
                 (got & (POLLERR | POLLHUP | POLLNVAL)) != 0};
}

} // namespace share::v4l2
