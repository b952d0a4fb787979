// SPDX-License-Identifier: MIT
// The path of a stream: which memory, described how, handed over by which protocol; and choosing it.
//
// Thread: the Display's. Source: linux-dmabuf-v1 (create, created, failed), wl_shm.
#pragma once

#include <string>

#include <share/pool.hpp>
#include <share/wayland_client/swapchain.hpp>

#include "display_impl.hpp"

namespace share::wayland_client {

struct Path {
    Pool pool;
    Mechanism mechanism = Mechanism::wl_shm;
    std::uint64_t modifier = modifier::linear; ///< as said to the compositor
    std::string reason;                        ///< for the ledger: why this one
    Proxy<wl_shm_pool> shm_pool;               ///< only for wl_shm
};

/// The wl_buffer of one slot along the path. Errors: unsupported (the compositor refused it, or the memory
/// cannot be handed over so), those of Display.
Result<std::unique_ptr<HeldBuffer>> make_wl_buffer(Display& display, Path& path, std::uint32_t slot,
                                                   Deadline deadline);

/// As above for any Buffer. `shm_pool` is made on first use and serves all buffers of one memory.
Result<std::unique_ptr<HeldBuffer>> make_wl_buffer(Display& display, const std::shared_ptr<Buffer>& buffer,
                                                   Mechanism mechanism, std::uint64_t modifier,
                                                   Proxy<wl_shm_pool>& shm_pool, Deadline deadline);

struct ChosenPath {
    Path path;
    std::unique_ptr<HeldBuffer> first; ///< of slot 0: what the compositor accepted
};

/// Tries formats in the options' order, for each the paths best first. `offer` may be null (then
/// `no_dmabuf` says why). Notes for the ledger: the path taken and each better one that was not.
Result<ChosenPath> choose_path(Display& display, const DmabufOffer* offer, const std::string& no_dmabuf,
                               const HeapTable& heaps, const SwapchainOptions& options, Ledger& ledger,
                               Deadline deadline);

} // namespace share::wayland_client
