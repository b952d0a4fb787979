// SPDX-License-Identifier: MIT
#include "os/call.hpp"

#include <poll.h>
#include <sys/ioctl.h>

#include <cerrno>

namespace share::os {

int retry_ioctl(int fd, unsigned long request, void* argument) noexcept {
    int rc = 0;
    do
        rc = ::ioctl(fd, request, argument);
    while (rc < 0 && (errno == EINTR || errno == EAGAIN));
    return rc;
}

Result<bool> wait_for(int fd, short events, Deadline deadline, const std::string& operation) {
    struct pollfd entry{fd, events, 0};
    for (;;) {
        const int rc = ::poll(&entry, 1, deadline.remaining_ms());
        if (rc == 0) return false;
        if (rc > 0 && (entry.revents & (POLLERR | POLLNVAL)) == 0) return true;
        if (rc > 0)
            return make_error(Code::invalid_argument, operation, "poll reports an error: it has no fences");
        if (errno != EINTR) return error_from_errno(errno, operation, "poll");
    }
}

} // namespace share::os
