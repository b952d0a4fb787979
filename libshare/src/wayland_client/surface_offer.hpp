// SPDX-License-Identifier: MIT
// What the compositor says of dma-bufs for one very surface, from version 4 on. Thread: the Display's.
#pragma once

#include <optional>

#include <share/wayland_client/display.hpp>

struct wl_surface;

namespace share::wayland_client {

/// Nothing when it says nothing usable: then Display::dmabuf() holds. Errors: those of Display.
Result<std::optional<DmabufOffer>> surface_offer(Display& display, wl_surface* surface, Deadline deadline);

} // namespace share::wayland_client
