// SPDX-License-Identifier: MIT
#include "os/dmabuf.hpp"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <fstream>
#include <optional>

#include <fmt/format.h>

#include "os/call.hpp"

namespace share::os {
namespace {

Result<void> sync(int dmabuf, std::uint64_t step, Access access) {
    struct dma_buf_sync request{};
    request.flags =
        step | (reads(access) ? DMA_BUF_SYNC_READ : 0U) | (writes(access) ? DMA_BUF_SYNC_WRITE : 0U);
    if (retry_ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &request) < 0)
        return error_from_errno(errno,
                                fmt::format("{} CPU access to dma-buf fd {}",
                                            step == DMA_BUF_SYNC_START ? "beginning" : "ending", dmabuf),
                                "DMA_BUF_IOCTL_SYNC");
    return {};
}

constexpr const char* size_limit_path = "/sys/module/udmabuf/parameters/size_limit_mb";

/// In bytes; nothing where it cannot be read.
std::optional<std::uint64_t> udmabuf_size_limit() {
    std::ifstream file(size_limit_path);
    std::uint64_t megabytes = 0;
    if (!(file >> megabytes)) return std::nullopt;
    return megabytes << 20U;
}

Error udmabuf_refused(int os_errno, std::string operation, std::uint64_t size) {
    const auto limit = os_errno == EINVAL ? udmabuf_size_limit() : std::nullopt;
    if (limit && size > *limit)
        return {Code::limit, os_errno, std::move(operation),
                fmt::format(
                    "{} bytes are more than udmabuf's limit size_limit_mb = {}; raise it in {} (root), or at "
                    "boot with udmabuf.size_limit_mb=N",
                    size, *limit >> 20U, size_limit_path)};
    if (os_errno == EINVAL && !limit)
        return error_from_errno(
            os_errno, std::move(operation),
            fmt::format("UDMABUF_CREATE; the size may exceed {}, or the memfd lacks F_SEAL_SHRINK",
                        size_limit_path));
    if (os_errno == EINVAL)
        return error_from_errno(
            os_errno, std::move(operation),
            "UDMABUF_CREATE; the memfd must be sealed with F_SEAL_SHRINK and not against writing");
    if (os_errno == ENOMEM)
        return error_from_errno(os_errno, std::move(operation),
                                "UDMABUF_CREATE; the memory cgroup or the machine has no pages left");
    return error_from_errno(os_errno, std::move(operation), "UDMABUF_CREATE");
}

} // namespace

Result<bool> fences_done(int dmabuf, Access access, Deadline deadline) {
    return wait_for(dmabuf, static_cast<short>(writes(access) ? POLLOUT : POLLIN), deadline,
                    fmt::format("waiting for the fences of dma-buf fd {}", dmabuf));
}

Result<void> wait_fences(int dmabuf, Access access, Deadline deadline) {
    auto done = fences_done(dmabuf, access, deadline);
    if (!done) return std::move(done).error();
    if (*done) return {};
    return make_error(Code::timed_out, fmt::format("waiting for the fences of dma-buf fd {}", dmabuf),
                      "a device did not finish before the deadline; the buffer still belongs to it");
}

Result<void> sync_begin(int dmabuf, Access access) {
    return sync(dmabuf, DMA_BUF_SYNC_START, access);
}
Result<void> sync_end(int dmabuf, Access access) {
    return sync(dmabuf, DMA_BUF_SYNC_END, access);
}

void set_dmabuf_name(int dmabuf, const std::string& name) noexcept {
    const int saved = errno;
    char text[DMA_BUF_NAME_LEN] = {};
    name.copy(text, sizeof text - 1);
    ::ioctl(dmabuf, DMA_BUF_SET_NAME_B, text);
    errno = saved;
}

Result<UniqueFd> create_udmabuf(int device, int memfd, std::uint64_t offset, std::uint64_t size) {
    struct udmabuf_create request{};
    request.memfd = static_cast<std::uint32_t>(memfd);
    request.flags = UDMABUF_FLAGS_CLOEXEC;
    request.offset = offset;
    request.size = size;
    const int fd = retry_ioctl(device, UDMABUF_CREATE, &request);
    if (fd < 0)
        return udmabuf_refused(
            errno,
            fmt::format("making a dma-buf of bytes {} to {} of memfd fd {}", offset, offset + size, memfd),
            size);
    return UniqueFd(fd);
}

Result<UniqueFd> allocate_dma_heap(int device, std::uint64_t size, const std::string& name) {
    struct dma_heap_allocation_data request{};
    request.len = size;
    request.fd_flags = O_RDWR | O_CLOEXEC;
    if (retry_ioctl(device, DMA_HEAP_IOCTL_ALLOC, &request) < 0)
        return error_from_errno(errno, fmt::format("allocating {} bytes from {}", size, name),
                                errno == ENOMEM ? "DMA_HEAP_IOCTL_ALLOC; the heap has not that much memory"
                                                : "DMA_HEAP_IOCTL_ALLOC");
    return UniqueFd(static_cast<int>(request.fd));
}

} // namespace share::os
