// SPDX-License-Identifier: MIT
// Buffers that fit a V4L2 queue, from any heap: each image in a dma-buf (or several) of its own that begins
// at byte 0, because a V4L2 buffer has no offset. Thread: any. Errors: as Heap::allocate, limit. Source:
// userspace-api/media/v4l/dmabuf.html.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/heap.hpp>
#include <share/v4l2/format.hpp>

namespace share::v4l2 {

/// Memfds become one dma-buf a buffer by page-aligned ranges of one file; other heaps give a Memory each.
SHARE_API Result<std::vector<std::shared_ptr<Buffer>>>
make_buffers(Heap& heap, const StreamFormat& format, std::uint32_t count, std::string_view name);

} // namespace share::v4l2
