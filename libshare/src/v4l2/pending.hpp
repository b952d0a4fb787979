// SPDX-License-Identifier: MIT
// What other devices still do to a Buffer. V4L2 waits for no fence of a dma-buf: a GPU that was told to read
// may not have begun when the driver begins to write. Thread: any. Source: dma-buf.rst (poll).
#pragma once

#include <share/buffer.hpp>

namespace share::v4l2 {

/// A dma-buf of this Buffer with work on it that `access` must wait for: writers' for reading, everybody's
/// for writing. Borrowed; readable or writable, as the access asks, when the work is done. -1: `access` may
/// begin. `handle` may be null for memory that is a dma-buf itself.
int pending_work(const Buffer& buffer, const DmabufHandle* handle, Access access);

} // namespace share::v4l2
