// SPDX-License-Identifier: MIT
// What an X server offers for buffers: its extensions and their versions, by the server's own word.
//
// Asked anew at each call; nothing is attached or created. A version says what may be tried, not what works:
// X11Swapchain tries its paths with real memory before it takes one.
// Owner: plain values. Thread: the connection's. Errors: as Connection (disconnected, timed_out).
// Source: X11 protocol (connection set-up, QueryExtension), MIT-SHM 1.2, DRI3 1.4, Present 1.4.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <share/api.hpp>
#include <share/x11/connection.hpp>

namespace share::x11 {

struct ExtensionVersion {
    std::uint32_t major = 0, minor = 0;
    friend auto operator<=>(const ExtensionVersion&, const ExtensionVersion&) = default;
};

struct ServerOffer {
    std::string vendor;
    std::uint32_t release = 0;
    bool local = false;                  ///< an AF_UNIX connection: fds can be passed, memory can be shared
    std::uint16_t width = 0, height = 0; ///< of the screen, in pixels
    std::uint8_t depth = 0;              ///< of the screen's root window

    std::optional<ExtensionVersion> mit_shm; ///< nullopt: the server has it not; so below
    bool shared_pixmaps = false;             ///< MIT-SHM pixmaps that live in the client's memory
    std::optional<ExtensionVersion> dri3;
    std::optional<ExtensionVersion> present;

    /// MIT-SHM segments may be made of the client's fds.
    bool takes_fds() const noexcept { return local && mit_shm && *mit_shm >= ExtensionVersion{1, 2}; }
};

SHARE_API Result<ServerOffer> query_offer(Connection& connection, Deadline deadline);

} // namespace share::x11
