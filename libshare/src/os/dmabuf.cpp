// SPDX-License-Identifier: MIT
#include "os/dmabuf.hpp"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

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

std::optional<std::uint64_t> number_in(const char* path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    if (!(file >> number)) return std::nullopt;
    return number;
}

Error udmabuf_refused(int os_errno, std::string operation, std::uint64_t size) {
    const auto limit = os_errno == EINVAL ? udmabuf_limits().size_limit : std::nullopt;
    if (limit && size > *limit)
        return {Code::limit, os_errno, std::move(operation),
                fmt::format(
                    "{} bytes are more than udmabuf's limit size_limit_mb = {}; raise it in {} (root), or at "
                    "boot with udmabuf.size_limit_mb=N",
                    size, *limit >> 20U, udmabuf_size_limit_path)};
    if (os_errno == EINVAL && !limit)
        return error_from_errno(
            os_errno, std::move(operation),
            fmt::format("UDMABUF_CREATE; the size may exceed {}, or the memfd lacks F_SEAL_SHRINK",
                        udmabuf_size_limit_path));
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

UdmabufLimits udmabuf_limits() {
    UdmabufLimits limits{number_in(udmabuf_list_limit_path), number_in(udmabuf_size_limit_path)};
    if (limits.size_limit) *limits.size_limit <<= 20U; // the parameter is in MiB
    return limits;
}

Result<bool> fences_done(int dmabuf, Access access, Deadline deadline) {
    return wait_for(dmabuf, static_cast<short>(writes(access) ? POLLOUT : POLLIN), deadline,
                    fmt::format("waiting for the fences of dma-buf fd {}", dmabuf));
}

bool has_pending_fences(int dmabuf) noexcept {
    pollfd entry{dmabuf, POLLOUT, 0};
    const int ready = ::poll(&entry, 1, 0);
    return ready == 0 || (ready < 0 && errno == EINTR);
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

std::string dmabuf_exporter(int dmabuf) {
    constexpr std::string_view key = "exp_name:\t";
    std::ifstream fdinfo(fmt::format("/proc/self/fdinfo/{}", dmabuf));
    // The name, which anybody may choose with line ends in it, comes last.
    for (std::string line; std::getline(fdinfo, line);)
        if (line.starts_with(key)) return line.substr(key.size());
    return {};
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

Result<UniqueFd> create_udmabuf_list(int device, std::span<const UdmabufPart> parts) {
    const std::size_t item = sizeof(udmabuf_create_item);
    // A struct with an array of unknown length at its end, as the kernel reads it.
    std::vector<std::uint64_t> room((sizeof(udmabuf_create_list) + parts.size() * item + 7) / 8);
    auto* request = reinterpret_cast<udmabuf_create_list*>(room.data());
    request->flags = UDMABUF_FLAGS_CLOEXEC;
    request->count = static_cast<std::uint32_t>(parts.size());
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        udmabuf_create_item one{};
        one.memfd = static_cast<std::uint32_t>(parts[i].memfd);
        one.offset = parts[i].offset;
        one.size = parts[i].size;
        std::memcpy(reinterpret_cast<std::byte*>(room.data()) + sizeof(udmabuf_create_list) + i * item, &one,
                    item);
        size += parts[i].size;
    }
    const int fd = retry_ioctl(device, UDMABUF_CREATE_LIST, request);
    if (fd >= 0) return UniqueFd(fd);
    const int refused = errno;
    const auto operation =
        fmt::format("making a dma-buf of {} ranges of memfds, {} bytes", parts.size(), size);
    const auto limits = udmabuf_limits();
    if (refused == EINVAL && limits.list_limit && parts.size() > *limits.list_limit)
        return Error{Code::limit, refused, operation,
                     fmt::format("udmabuf takes at most list_limit = {} ranges; raise it in {} (root)",
                                 *limits.list_limit, udmabuf_list_limit_path)};
    return udmabuf_refused(refused, operation, size);
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
