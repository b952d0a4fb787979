// SPDX-License-Identifier: MIT
// The heap `gbm:NODE`: memory that the driver of a DRM node makes for itself, linear, as dma-bufs.
//
// A heap gives bytes, a buffer object has a width and a height: each allocation asks for rows of 4 KiB (of
// more where they would become too many) and lays the wanted bytes into them without gaps. The layout laid
// into it has a stride of its own; a device may want that to be a multiple of 64 or 256. The most for one
// allocation is 1 GiB. Where the driver's dma-bufs cannot be mapped, the memory is device-only
// (traits().mappable). Without a GPU, Mesa makes the memory of dumb buffers, and so needs a primary node. Its
// pages are counted in no cgroup. Thread: as Heap; the device is locked, as libgbm asks. Source: gbm.h,
// drm.h (PRIME).
#pragma once

#include <memory>
#include <string>

#include <share/api.hpp>
#include <share/heap.hpp>

namespace share::egl {

/// Tries one page before it offers the heap: made, exported, and where possible mapped and written.
/// Errors: unavailable, denied (the node), unsupported (no driver for it, no linear buffers, no PRIME
/// export).
SHARE_API Result<std::unique_ptr<Heap>> open_gbm_heap(const std::string& node);

/// One heap for each DRM node of this machine, "gbm:renderD128", "gbm:card0"; without any, one entry "gbm"
/// with the reason.
SHARE_API void add_gbm_heaps(HeapTable& table);

} // namespace share::egl
