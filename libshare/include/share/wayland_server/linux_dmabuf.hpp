// SPDX-License-Identifier: MIT
// LinuxDmabuf: the zwp_linux_dmabuf_v1 global with all its checks, for any compositor on libwayland.
//
// Version 5 with feedback when the policy names a device, version 3 otherwise. Nothing about an fd is
// believed but what the kernel says of it, all arithmetic is share::Layout's, and no fd is mapped here. A
// client's mistake is the protocol's error; what the machine refuses is `failed` for create, and
// invalid_wl_buffer for create_immed. The same dma-buf imported again by the same client is one Memory.
// Thread: the display's. Source: linux-dmabuf-v1.xml.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <share/buffer.hpp>
#include <share/wayland_server/client_buffer.hpp>

namespace share::wayland_server {

/// What the compositor supplies. Called on the display's thread only.
class SHARE_API DmabufPolicy {
public:
    struct Tranche {
        std::uint64_t device = 0; ///< st_rdev of the target
        bool scanout = false;
        std::vector<FormatModifier> formats; ///< all of them in formats()
    };
    virtual ~DmabufPolicy();
    /// What is advertised and accepted: probed or unprobeable pairs (see probe.hpp).
    virtual std::span<const FormatModifier> formats() const = 0;
    /// st_rdev of the DRM node that renders; 0: none, and so no feedback.
    virtual std::uint64_t main_device() const = 0;
    /// True when a memfd that cannot shrink may stand in for a dma-buf (software rendering).
    virtual bool accepts_memfd() const = 0;
    /// Asked once for each buffer, before the client hears of it. The result is kept in
    /// ClientBuffer::imported(). An error becomes `failed` (or invalid_wl_buffer).
    virtual Result<std::shared_ptr<void>> try_import(const std::shared_ptr<Buffer>& buffer) = 0;
    /// Told of every buffer that the machine or the policy refused, for the compositor's log. Does nothing by
    /// default.
    virtual void refused(wl_client* client, const Error& why);
    /// zwp_linux_buffer_params_v1.flags that the compositor honours. None by default.
    virtual std::uint32_t supported_flags() const;
    /// Best first; `surface` is null for the default feedback. By default one tranche of the main device.
    virtual std::vector<Tranche> tranches(wl_resource* surface) const;
};

/// What one client may hold; more is wl_display.no_memory for that client.
struct DmabufLimits {
    std::uint64_t params = 256;   ///< params and feedback objects alive
    std::uint64_t fds = 256;      ///< waiting in params or kept by buffers; a server raises RLIMIT_NOFILE
    std::uint64_t buffers = 4096; ///< wl_buffers
    std::uint64_t bytes = 16ULL << 30; ///< of distinct dma-bufs
};

class SHARE_API LinuxDmabuf {
public:
    /// `policy` must outlive it. Errors: out_of_memory, io (the format table).
    static Result<std::unique_ptr<LinuxDmabuf>> create(wl_display* display, DmabufPolicy& policy,
                                                       const DmabufLimits& limits = {});
    /// Removes the global. Clients that still hold objects of it get `failed` from then on.
    ~LinuxDmabuf();
    LinuxDmabuf(const LinuxDmabuf&) = delete;
    LinuxDmabuf& operator=(const LinuxDmabuf&) = delete;

    std::uint32_t version() const noexcept;
    /// The policy's formats or tranches changed: makes a new table and sends it to every feedback object.
    Result<void> feedback_changed();

    struct State;

private:
    explicit LinuxDmabuf(std::shared_ptr<State> state) noexcept;
    void bind(wl_client* client, std::uint32_t version, std::uint32_t id);
    std::shared_ptr<State> state_;
    Global global_;
};

} // namespace share::wayland_server
