// SPDX-License-Identifier: MIT
// Begins a bracket on a helper thread. DMA_BUF_IOCTL_SYNC waits for fences without a limit, and whoever
// shares the dma-buf can add one between our look at its fences and the ioctl: then the helper waits, and the
// caller goes on at its deadline. Thread: any. Source: dma-buf.rst.
#pragma once

#include <share/deadline.hpp>
#include <share/memory.hpp>

namespace share::os {

/// sync_begin(), but no later than the deadline or 50 ms from now, whichever is later. Errors: timed_out (the
/// helper ends the bracket itself when it gets it after all), limit (too many helpers wait), out_of_memory.
Result<void> sync_begin_guarded(int dmabuf, Access access, Deadline deadline);

} // namespace share::os
