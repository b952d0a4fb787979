// SPDX-License-Identifier: MIT
#include "os/map.hpp"

#include <sys/mman.h>

#include <cerrno>

#include <fmt/format.h>

namespace share::os {

Result<std::span<std::byte>> map_shared(int fd, std::uint64_t size, Access access) {
    const int protection = (reads(access) ? PROT_READ : 0) | (writes(access) ? PROT_WRITE : 0);
    void* address = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) // NOLINT(performance-no-int-to-ptr)
        return error_from_errno(
            errno, fmt::format("mapping {} bytes of fd {}", size, fd),
            errno == ENOMEM
                ? "address space or the limit of mappings (vm.max_map_count, ulimit -v) is exhausted"
                : "");
    return std::span(static_cast<std::byte*>(address), size);
}

void unmap(std::span<std::byte> bytes) noexcept {
    const int saved = errno;
    ::munmap(bytes.data(), bytes.size());
    errno = saved;
}

} // namespace share::os
