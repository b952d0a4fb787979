// SPDX-License-Identifier: MIT
// Handles: exports of a Buffer for one transport each. A handle owns what it names; dropping it closes it.
// The fd in a handle is borrowed by whoever sends it (libwayland and xcb: see their headers for who closes).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <share/layout.hpp>
#include <share/unique_fd.hpp>

namespace share {

/// A real dma-buf (or several, one a plane). Plane offsets count from the start of the plane's dma-buf.
struct DmabufHandle {
    Layout layout;
    std::array<std::shared_ptr<const UniqueFd>, max_planes> fds; ///< entry 0 for all planes when 1 is null
    int fd(std::size_t plane = 0) const noexcept {
        const auto& own = fds[plane] ? fds[plane] : fds[0];
        return own ? own->get() : -1;
    }
};

/// A file of the page cache and where the buffer lies in it.
struct MemfdHandle {
    Layout layout;
    UniqueFd fd;
    std::uint64_t offset = 0;    ///< of the layout's range in the file; page-aligned for pool buffers
    std::uint64_t file_size = 0; ///< what a wl_shm pool or an X segment of the whole file covers
};

/// A System V segment, already marked for removal: it lives while somebody is attached.
struct SysvHandle {
    Layout layout;
    int shmid = -1;
    std::uint64_t offset = 0;
    std::uint64_t segment_size = 0;
};

} // namespace share
