// SPDX-License-Identifier: MIT
#include "pending.hpp"

#include <poll.h>

namespace share::v4l2 {

int pending_work(const Buffer& buffer, const DmabufHandle* handle, Access access) {
    const std::size_t memories = buffer.planes_share_memory() ? 1 : buffer.layout().plane_count();
    for (std::size_t m = 0; m < memories; ++m) {
        const int fd = handle ? handle->fd(m) : buffer.memory(m)->fd();
        pollfd done{fd, static_cast<short>(writes(access) ? POLLOUT : POLLIN), 0};
        if (fd >= 0 && poll(&done, 1, 0) == 0) return fd;
    }
    return -1;
}

} // namespace share::v4l2
