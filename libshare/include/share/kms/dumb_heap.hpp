// SPDX-License-Identifier: MIT
// The heap `dumb:CARD`: memory that the card's display controller can always read, by CREATE_DUMB and PRIME.
//
// A heap gives bytes, a dumb buffer has a width, a height and a pitch: each allocation asks for 1024 pixels
// of 32 bits (one page a row, which no driver's pitch rule makes larger) and as many rows as pages are
// wanted. The layout laid into it has a stride of its own; a display controller may want that to be a
// multiple of 64 or 256. The most for one allocation is 4 GiB less a page, by the ioctl. Its pages are
// counted in no cgroup. Thread: as Heap. Source: drm-kms.rst (dumb buffer objects), drm_dumb_buffers.c.
#pragma once

#include <memory>

#include <share/api.hpp>
#include <share/heap.hpp>
#include <share/kms/device.hpp>

namespace share::kms {

/// Tries one page before it offers the heap: exported, mapped, written and read.
/// Errors: unsupported (no dumb buffers, no PRIME export, no CPU mapping), and as Heap::allocate.
SHARE_API Result<std::unique_ptr<Heap>> open_dumb_heap(std::shared_ptr<Device> device);

/// One heap for each primary node of this machine, "dumb:card0"; without any, one entry "dumb" with the
/// reason.
SHARE_API void add_dumb_heaps(HeapTable& table);

} // namespace share::kms
