// SPDX-License-Identifier: MIT
// What a compositor takes, as a party of negotiate(), measured: by linux-dmabuf, or by wl_shm.
//
// Two ways, two parties: whoever negotiates tries the first, and the second where there is a conflict.
//
// linux-dmabuf: a small real buffer of each listed pair is offered by zwp_linux_buffer_params_v1.create
// (never create_immed: a refusal then costs nothing) and destroyed; then strides, where a picture begins,
// padding of rows. Each is in bounds, so that no answer can be a protocol error. What is called good was
// accepted: nothing is shown, so nobody has seen its pixels. Both kinds of handles are tried, the memfd in a
// dma-buf's place too: a compositor that takes it draws by software. Tiled modifiers are unprobeable. wl_shm:
// what it lists is its word, unprobeable, because one wrong request would end the connection.
//
// Not cached: a compositor has no version that a client could ask for, and its answer changes with its GPU
// and settings. The questions are some tens, each a round trip; measured anew at a start they cost
// milliseconds. Thread: the Display's. Leaves nothing behind: every wl_buffer is destroyed, and the
// compositor has answered that. Errors: unsupported (no linux-dmabuf; no wl_shm), those of Display: a
// compositor that hangs gives `timed_out` at the deadline. Source: linux-dmabuf-v1, wayland.xml (wl_shm).
#pragma once

#include <chrono>
#include <string>

#include <share/api.hpp>
#include <share/heap.hpp>
#include <share/requirements.hpp>
#include <share/wayland_client/display.hpp>

namespace share::wayland_client {

struct RequirementsOptions {
    std::string party = "compositor";
    /// A compositor that has not answered by then gives `timed_out`; with time left and all answered, nothing
    /// is left out.
    Deadline deadline = Deadline::in(std::chrono::seconds(5));
};

SHARE_API Result<Requirements> dmabuf_requirements(Display& display, const HeapTable& heaps,
                                                   const RequirementsOptions& options = {});
SHARE_API Result<Requirements> shm_requirements(const Display& display,
                                                const RequirementsOptions& options = {});

/// "/dev/dri/renderD128" for a device number that feedback names; empty where the kernel knows no such node.
SHARE_API std::string device_node(std::uint64_t device);

} // namespace share::wayland_client
