// SPDX-License-Identifier: MIT
// Limits of the kernel that more than one section tells. Source: Documentation/driver-api/dma-buf.rst,
// drivers/dma-buf/udmabuf.c (module parameters), shmget(2).
#pragma once

#include "json.hpp"

namespace info {

/// list_limit (ranges in one buffer) and size_limit_mb (of one buffer), or why they cannot be read.
Json udmabuf_limits();
/// shmmax, in bytes; null when it limits nothing.
Json sysv_limit();

} // namespace info
