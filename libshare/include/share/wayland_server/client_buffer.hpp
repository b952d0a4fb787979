// SPDX-License-Identifier: MIT
// ClientBuffer: the object behind every wl_buffer that this library makes (linux-dmabuf, wl_shm), and the
// base of a compositor's own kinds (single-pixel-buffer).
//
// Owned by its wl_resource. The share::Buffer outlives it: whoever shows it keeps a share of its own, and a
// Weak<ClientBuffer> or DestroyWatch to learn that the wl_buffer is gone. Thread: the display's.
// Source: wayland.xml (wl_buffer).
#pragma once

#include <memory>
#include <string>

#include <wayland-server-protocol.h>

#include <share/buffer.hpp>
#include <share/wayland_server/resource.hpp>

namespace share::wayland_server {

class SHARE_API ClientBuffer
    : public Resource<ClientBuffer, &wl_buffer_interface, struct wl_buffer_interface> {
public:
    static const Requests requests;

    enum class Kind : std::uint8_t { shm, dmabuf, other };
    struct Facts {
        Kind kind = Kind::other;
        std::shared_ptr<Buffer> buffer; ///< null for kinds without memory
        bool y_inverted = false;        ///< linux-dmabuf's flag: the first row is the bottom one
        std::shared_ptr<void> imported; ///< what DmabufPolicy::try_import gave
        std::shared_ptr<void> keep;     ///< lives as long as the wl_buffer (quotas)
    };
    ClientBuffer(NewResource resource, Facts facts);
    ~ClientBuffer() override;

    Kind kind() const noexcept { return facts_.kind; }
    const std::shared_ptr<Buffer>& buffer() const noexcept { return facts_.buffer; }
    bool y_inverted() const noexcept { return facts_.y_inverted; }

    /// The compositor's own content of this wl_buffer, made once: what try_import gave, or what it puts here.
    std::shared_ptr<void>& imported() noexcept { return facts_.imported; }

    /// wl_buffer.release: the compositor reads it no more.
    void release() noexcept { wl_buffer_send_release(resource()); }
    /// The client truncated the memory and a read found out. A wl_shm client gets wl_shm.invalid_fd; a
    /// dma-buf client gets nothing, as linux-dmabuf demands once its buffer was made.
    void lost(const std::string& why) noexcept;

private:
    Facts facts_;
};

} // namespace share::wayland_server
