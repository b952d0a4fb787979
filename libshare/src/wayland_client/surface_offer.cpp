// SPDX-License-Identifier: MIT
#include "surface_offer.hpp"

#include "display_impl.hpp"
#include "feedback.hpp"

namespace share::wayland_client {

Result<std::optional<DmabufOffer>> surface_offer(Display& display, wl_surface* surface, Deadline deadline) {
    auto* const dmabuf = display.impl().dmabuf.get();
    if (!display.dmabuf() ||
        zwp_linux_dmabuf_v1_get_version(dmabuf) < ZWP_LINUX_DMABUF_V1_GET_SURFACE_FEEDBACK_SINCE_VERSION)
        return std::optional<DmabufOffer>();
    FeedbackCollector feedback(zwp_linux_dmabuf_v1_get_surface_feedback(dmabuf, surface));
    if (auto told = display.sync(deadline); !told) return std::move(told).error();
    return feedback.fault().empty() ? feedback.offer() : std::nullopt;
}

} // namespace share::wayland_client
