// SPDX-License-Identifier: MIT
// requirements_of(): one queue of a V4L2 device, at one picture size, as a party of negotiate(), measured.
//
// What the driver makes of a size and of wished strides is asked by VIDIOC_TRY_FMT, which changes nothing:
//   a driver that takes wished strides   the weakest alignment that it takes, and the largest stride;
//   one that has a stride of its own     that stride alone suits it, at this size: the alignment that leads
//                                        to it, with max_stride; formats with another stride are bad then.
// A V4L2 buffer has no offsets: later planes follow the first (planes_follow). Formats that need a dma-buf
// for each plane are bad. The pictures' pixels are not looked at (only a person knows what a camera sees), so
// that formats are unprobeable at best. Memory is tried for real, in the queue's present format: room for one
// dma-buf (VIDIOC_REQBUFS), a buffer of scattered memory queued (VIDIOC_QBUF) and taken back; where that is
// refused, each heap with contiguous memory. What we cannot make says nothing about the driver: it leaves
// memory unprobeable. It streams nothing.
// Thread: the Device's. Leaves nothing behind, the queue's format neither. Errors: unsupported (no such
// queue, only compressed formats, a size that it cannot; or it takes no memory but its own, which is no party
// to agree with), busy is none: it leaves memory unprobeable; disconnected. Units: pixels, bytes. Source:
// userspace-api/media/v4l (vidioc-g-fmt, dmabuf).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/format.hpp>
#include <share/heap.hpp>
#include <share/probe_cache.hpp>
#include <share/requirements.hpp>
#include <share/result.hpp>
#include <share/v4l2/device.hpp>

namespace share::v4l2 {

struct RequirementsOptions {
    std::string party = "camera";
    std::uint32_t width = 0, height = 0; ///< 0x0: what the queue has now
    Fourcc format = 0;                   ///< to measure strides by; 0: the first that is offered
    /// What is not done by then stays untried, and says so.
    Deadline deadline = Deadline::in(std::chrono::seconds(2));
    /// Where results are kept, null: measured anew. The key: the driver; kernel, card, bus, queue, size
    /// and format, the queue's present format, the heaps that there were. Not stored while another program
    /// had the queue, or we could not make the memory to try.
    const ProbeCache* cache = nullptr;
};

SHARE_API Result<Requirements> requirements_of(const Device& device, Side side, const HeapTable& heaps,
                                               const RequirementsOptions& options = {});

} // namespace share::v4l2
