// SPDX-License-Identifier: MIT
// mmap of shared files. Thin; no policy. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <share/memory.hpp>

namespace share::os {

Result<std::span<std::byte>> map_shared(int fd, std::uint64_t size, Access access);
void unmap(std::span<std::byte> bytes) noexcept;

} // namespace share::os
