// SPDX-License-Identifier: MIT
// The ioctls of dma-bufs, /dev/udmabuf and /dev/dma_heap. Thin; no policy. Thread: any.
// Source: dma-buf.rst, udmabuf.h, dma-heap.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <share/deadline.hpp>
#include <share/memory.hpp>

namespace share::os {

/// Whether the fences that stand in the way of `access` are done: writers' for reading, everybody's for
/// writing. False when the deadline passed first; Deadline::none() only asks.
Result<bool> fences_done(int dmabuf, Access access, Deadline deadline);
/// Whether some fence, a reader's or a writer's, is not done. What cannot be polled is idle. Never waits, never
/// allocates.
bool has_pending_fences(int dmabuf) noexcept;
/// Waits for the fences that a CPU access must respect: writers' for reading, everybody's for writing.
/// poll(2) first, because DMA_BUF_IOCTL_SYNC waits without a limit. Errors: timed_out.
Result<void> wait_fences(int dmabuf, Access access, Deadline deadline);
/// DMA_BUF_IOCTL_SYNC. Call after wait_fences.
Result<void> sync_begin(int dmabuf, Access access);
Result<void> sync_end(int dmabuf, Access access);
/// Shows in /sys/kernel/debug/dma_buf and fdinfo; at most 31 bytes are kept. Failure is harmless.
void set_dmabuf_name(int dmabuf, const std::string& name) noexcept;
/// Who made a dma-buf, in the kernel's words: "udmabuf", "system", "drm"; empty without /proc.
std::string dmabuf_exporter(int dmabuf);
struct UdmabufLimits {
    std::optional<std::uint64_t> list_limit; ///< ranges in one list
    std::optional<std::uint64_t> size_limit; ///< bytes in one dma-buf
};
/// udmabuf's module parameters; nothing where they cannot be read.
UdmabufLimits udmabuf_limits();
inline constexpr const char* udmabuf_list_limit_path = "/sys/module/udmabuf/parameters/list_limit";
inline constexpr const char* udmabuf_size_limit_path = "/sys/module/udmabuf/parameters/size_limit_mb";

/// A dma-buf over [offset, offset + size) of a memfd that cannot shrink; page-aligned.
/// Errors: limit (naming size_limit_mb and where to raise it), out_of_memory, invalid_argument.
Result<UniqueFd> create_udmabuf(int device, int memfd, std::uint64_t offset, std::uint64_t size);
/// Bytes [offset, offset + size) of a memfd, as above.
struct UdmabufPart {
    int memfd = -1;
    std::uint64_t offset = 0, size = 0;
};
/// A dma-buf of all parts, in order. Errors: as create_udmabuf, and limit for the number of parts.
Result<UniqueFd> create_udmabuf_list(int device, std::span<const UdmabufPart> parts);
/// A dma-buf of `size` bytes, page-aligned, of the dma-heap that `device` is open on; `name` is for the
/// error.
Result<UniqueFd> allocate_dma_heap(int device, std::uint64_t size, const std::string& name);

} // namespace share::os
