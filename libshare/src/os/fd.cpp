// SPDX-License-Identifier: MIT
#include <share/unique_fd.hpp>

#include <unistd.h>

#include <cerrno>

namespace share {

void UniqueFd::reset(int fd) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old < 0 || old == fd) return;
    const int saved = errno;
    ::close(old);
    errno = saved;
}

} // namespace share
