// SPDX-License-Identifier: MIT
// PresentationTime: when and how a frame was shown, as the compositor says. A plain value.
// Source: presentation-time.xml.
#pragma once

#include <cstdint>

namespace share::wayland_client {

struct PresentationTime {
    std::uint64_t frame = 0; ///< as in FrameRecord
    std::uint32_t clock_id = 0;
    std::uint64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
    std::uint32_t refresh_ns = 0; ///< 0: unknown
    std::uint64_t sequence = 0;
    bool zero_copy = false; ///< the compositor says that the display reads our buffer
};

} // namespace share::wayland_client
