// SPDX-License-Identifier: MIT
// Display's inside, for the other files of this library.
#pragma once

#include <share/wayland_client/display.hpp>

#include "held_buffer.hpp"
#include "idle.hpp"
#include "proxy.hpp"

namespace share::wayland_client {

/// The connection: disconnected at the end when it is ours.
struct Connection {
    wl_display* display = nullptr;
    bool ours = false;
    Connection(wl_display* d, bool own) noexcept : display(d), ours(own) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        if (ours) wl_display_disconnect(display);
    }
};

/// What versions 1 to 3 of linux-dmabuf list: formats, then pairs; version 3 lists both, and only the pairs
/// count.
struct OldFormats {
    std::vector<FormatModifier> implicit, pairs;
};

struct Display::Impl {
    Impl(wl_display* display, bool ours) : connection(display, ours) {}

    Connection connection; // first: goes last
    Proxy<wl_event_queue> queue;
    Wrapper<wl_display> wrapper;
    Proxy<wl_registry> registry;
    std::vector<Global> globals;

    Proxy<wl_shm> shm;
    ShmOffer shm_offer;
    Proxy<zwp_linux_dmabuf_v1> dmabuf;
    std::optional<DmabufOffer> dmabuf_offer;
    OldFormats old_formats;
    std::string dmabuf_reason;
    Proxy<wp_presentation> presentation;
    std::optional<std::uint32_t> clock_id;

    Lingering lingering;
    IdleStreams streams;
};

/// Binds what we need and collects what the compositor offers.
Result<void> collect_offers(Display& display, Deadline deadline);

} // namespace share::wayland_client
