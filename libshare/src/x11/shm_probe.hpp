// SPDX-License-Identifier: MIT
// ShmProbe: one pixel of a Buffer as the X server sees it, by a segment that is attached for that and
// detached.
//
// Thread: the connection's. Errors: as Connection; a refusal by the server is text. Source: MIT-SHM 1.2.
#pragma once

#include <memory>
#include <string>

#include <share/buffer.hpp>
#include <share/x11/requirements.hpp>
#include <share/x11/swapchain.hpp>

namespace share::x11 {

class ShmProbe {
public:
    ShmProbe(Connection& connection, xcb_window_t window, const WindowFormat& format, Deadline deadline);
    ~ShmProbe();
    ShmProbe(const ShmProbe&) = delete;
    ShmProbe& operator=(const ShmProbe&) = delete;

    /// Writes the picture's last pixel twice, each time another value, and asks the server for it. Empty: it
    /// saw both. `handle`: one kind.
    Result<std::string> sees(const std::shared_ptr<Buffer>& buffer, Exports handle, Use use);

private:
    struct Segment;
    Result<void> attach(Segment& segment, Buffer& buffer, Exports handle, Use use);
    Result<std::uint32_t> pixel(const Segment& segment, const Layout& layout, Use use);

    Connection& connection_;
    xcb_window_t window_;
    WindowFormat format_;
    Deadline deadline_;
    xcb_gcontext_t gc_;
};

} // namespace share::x11
