// SPDX-License-Identifier: MIT
// Opening a display within a deadline: name, socket, authority, set-up exchange.
//
// xcb_connect() waits without limit for a server that accepts and never answers, so the socket is ours and
// a watchdog shuts it down when the deadline passes. Resolving a host's name has the resolver's own limits.
// Thread: any. Errors: see Connection::open. Source: X(7), libXau, RFC-like X11 protocol section 8.
#pragma once

#include <string>

#include <xcb/xcb.h>

#include <share/deadline.hpp>
#include <share/result.hpp>

namespace share::x11 {

struct OpenedDisplay {
    xcb_connection_t* xcb = nullptr; ///< ours: xcb_disconnect()
    int screen = 0;
    std::string name; ///< what was connected to, $DISPLAY resolved
};

Result<OpenedDisplay> open_display(const std::string& display, Deadline deadline);

} // namespace share::x11
