// SPDX-License-Identifier: MIT
#include "os/sync_file.hpp"

#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <poll.h>

#include <cerrno>

#include <fmt/format.h>

#include "os/call.hpp"

namespace share::os {
namespace {

std::uint32_t sync_flags(Access access) noexcept {
    return static_cast<std::uint32_t>((reads(access) ? DMA_BUF_SYNC_READ : 0U) |
                                      (writes(access) ? DMA_BUF_SYNC_WRITE : 0U));
}

Error no_such_ioctl(int os_errno, std::string operation, const char* request) {
    if (os_errno != ENOTTY) return error_from_errno(os_errno, std::move(operation), request);
    return make_error(
        Code::unsupported, std::move(operation),
        fmt::format("the kernel has no {} (Linux 6.0 brings it), or this is no dma-buf", request));
}

} // namespace

Result<int> sync_file_status(int fd) {
    struct sync_file_info info{};
    if (retry_ioctl(fd, SYNC_IOC_FILE_INFO, &info) == 0) return info.status;
    const auto operation = fmt::format("asking fd {} for its fences", fd);
    if (errno == ENOTTY || errno == EBADF || errno == EINVAL)
        return make_error(Code::invalid_argument, operation, "it is not a sync_file");
    return error_from_errno(errno, operation, "SYNC_IOC_FILE_INFO");
}

Result<UniqueFd> merge_sync_files(int a, int b, const std::string& name) {
    struct sync_merge_data request{};
    name.copy(request.name, sizeof request.name - 1);
    request.fd2 = b;
    if (retry_ioctl(a, SYNC_IOC_MERGE, &request) < 0)
        return error_from_errno(errno, fmt::format("merging the fences of fds {} and {}", a, b),
                                "SYNC_IOC_MERGE");
    return UniqueFd(request.fence);
}

Result<bool> wait_sync_file(int fd, Deadline deadline) {
    return wait_for(fd, POLLIN, deadline, fmt::format("waiting for the fences of fd {}", fd));
}

Result<UniqueFd> export_sync_file(int dmabuf, Access access) {
    struct dma_buf_export_sync_file request{};
    request.flags = sync_flags(access);
    request.fd = -1;
    if (retry_ioctl(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) < 0)
        return no_such_ioctl(errno, fmt::format("taking the fences of dma-buf fd {}", dmabuf),
                             "DMA_BUF_IOCTL_EXPORT_SYNC_FILE");
    return UniqueFd(request.fd);
}

Result<void> import_sync_file(int dmabuf, int sync_file, Access access) {
    struct dma_buf_import_sync_file request{};
    request.flags = sync_flags(access);
    request.fd = sync_file;
    if (retry_ioctl(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &request) < 0)
        return no_such_ioctl(errno, fmt::format("adding a fence to dma-buf fd {}", dmabuf),
                             "DMA_BUF_IOCTL_IMPORT_SYNC_FILE");
    return {};
}

} // namespace share::os
