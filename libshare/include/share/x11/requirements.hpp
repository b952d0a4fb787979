// SPDX-License-Identifier: MIT
// requirements_of(): an X server that shows a window, as a party of negotiate(), measured.
//
// Memory is attached by MIT-SHM in each way there is (a memfd's fd, a dma-buf's fd, a SysV segment); a pixel
// of ours is put from it, or read through a pixmap that lies in it, and asked back: rows, first byte, padding
// and size are those that the server really reads by. What differs from the server's words is told.
// One format: the window's own. A remote server, or one without MIT-SHM, is no party: pixels go through its
// socket and need no agreement.
// Thread: the connection's. Leaves nothing behind: segments are detached and pixmaps freed, and the server
// has answered that. Errors: unsupported (see above, a window of an unknown format), as Connection: every
// wait ends at the deadline. Units: pixels, bytes. Source: MIT-SHM 1.2, X11 protocol (set-up, pixmap
// formats).
#pragma once

#include <chrono>
#include <string>

#include <share/api.hpp>
#include <share/heap.hpp>
#include <share/probe_cache.hpp>
#include <share/requirements.hpp>
#include <share/x11/connection.hpp>

namespace share::x11 {

enum class Use : std::uint8_t {
    put,    ///< the server copies from our memory (ShmPutImage): what X11Swapchain does
    pixmap, ///< a pixmap lies in our memory (ShmCreatePixmap); its rows have the server's own stride
};

struct RequirementsOptions {
    std::string party = "X server";
    Use use = Use::put;
    std::uint32_t width = 640, height = 480; ///< of a pixmap: its stride follows from its width
    Deadline deadline = Deadline::in(std::chrono::seconds(2));
    /// Where results are kept, null: measured anew. The key: the server's vendor; its release, the
    /// format, the use and its size. Servers of one vendor and release share their MIT-SHM, and so all of
    /// this but the kinds of memory, which depend on where server and client run: these are always tried.
    const ProbeCache* cache = nullptr;
};

SHARE_API Result<Requirements> requirements_of(Connection& connection, xcb_window_t window,
                                               const HeapTable& heaps,
                                               const RequirementsOptions& options = {});

} // namespace share::x11
