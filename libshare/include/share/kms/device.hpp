// SPDX-License-Identifier: MIT
// Device: a DRM node that shows framebuffers, or that only lends dumb buffers.
//
// Owned by shared_ptr: framebuffers, heaps and outputs hold their share. Opening takes no display away: DRM
// master is given back at once and taken by a ScanOut only. Thread: any; the list of GEM handles is locked.
// A GEM handle is a number of one open file: two objects must not manage the handles of one open file
// description, so an fd that was adopt()ed is imported into by nobody else.
// Source: drm-uapi.rst, drm-mm.rst (PRIME), drm.h (DRM_CAP_*, DRM_CLIENT_CAP_*).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/kms/formats.hpp>
#include <share/result.hpp>
#include <share/unique_fd.hpp>

namespace share::kms {

class Device;

enum class PlaneType : std::uint8_t { overlay, primary, cursor };

struct PlaneInfo {
    std::uint32_t id = 0;
    PlaneType type = PlaneType::overlay;
    std::uint32_t possible_crtcs = 0;    ///< bit i: crtcs()[i]
    std::vector<FormatModifier> formats; ///< modifier none: the driver tells none
};

struct Mode {
    std::uint32_t width = 0, height = 0, refresh_mhz = 0;
    bool preferred = false;
};

struct ConnectorInfo {
    std::uint32_t id = 0;
    std::string name;       ///< "HDMI-A-1"
    bool connected = false; ///< a display is there
    bool writeback = false; ///< no display: writes the picture into a framebuffer
    std::uint32_t possible_crtcs = 0;
    std::vector<Mode> modes;
    std::vector<Fourcc> writeback_formats;
};

/// Sizes in pixels; all 0 where the device has no display.
struct Capabilities {
    bool kms = false;
    bool atomic = false;
    bool writeback = false; ///< has a writeback connector
    bool dumb = false;
    bool dumb_slow_reads = false; ///< the driver asks for a shadow buffer (DRM_CAP_DUMB_PREFER_SHADOW)
    bool prime_import = false, prime_export = false;
    bool addfb2_modifiers = false;
    std::uint32_t min_width = 0, max_width = 0, min_height = 0, max_height = 0;
    std::uint32_t cursor_width = 0, cursor_height = 0;
};

/// Our use of a GEM handle. The kernel gives one handle for one dma-buf however often it is imported on one
/// fd, and one close ends all uses: so they are counted, and the last one closes.
class SHARE_API [[nodiscard]] GemHandle {
public:
    GemHandle() noexcept = default;
    GemHandle(GemHandle&& other) noexcept;
    GemHandle& operator=(GemHandle&& other) noexcept;
    ~GemHandle();
    explicit operator bool() const noexcept { return device_ != nullptr; }
    std::uint32_t get() const noexcept { return handle_; }

private:
    friend class Device;
    GemHandle(std::shared_ptr<Device> device, std::uint32_t handle) noexcept;
    std::shared_ptr<Device> device_;
    std::uint32_t handle_ = 0;
};

class SHARE_API Device : public std::enable_shared_from_this<Device> {
public:
    /// A primary node, "/dev/dri/card0". Errors: unavailable, denied (says which group), unsupported.
    static Result<std::shared_ptr<Device>> open(const std::string& node);
    /// An open node, from a seat manager or a lease. Its DRM master stays as it is.
    static Result<std::shared_ptr<Device>> adopt(UniqueFd fd);
    /// The first primary node of this driver ("vkms"): numbers change from boot to boot.
    /// Errors: unavailable, naming the nodes that were tried.
    static Result<std::shared_ptr<Device>> find(std::string_view driver);
    /// Paths of all primary nodes, sorted.
    static std::vector<std::string> nodes();

    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    int fd() const noexcept;
    const std::string& driver() const noexcept;
    /// "/dev/dri/card1", or "fd 7" where it was adopted and has no path.
    const std::string& node() const noexcept;
    const Capabilities& capabilities() const noexcept;
    /// Ids, in the order that `possible_crtcs` counts.
    const std::vector<std::uint32_t>& crtcs() const noexcept;
    const std::vector<PlaneInfo>& planes() const noexcept;
    /// What the primary planes can show, each pair once.
    std::vector<FormatModifier> primary_formats() const;
    /// Asks the displays anew, which takes long on some (EDID); while another program is DRM master the
    /// kernel tells what that one has asked. Errors: unsupported (no display), io.
    Result<std::vector<ConnectorInfo>> connectors() const;

    /// The dma-buf as a GEM object of this device. Errors: unsupported or what the driver says.
    Result<GemHandle> import(int dmabuf);
    /// A dumb buffer's object; size and pitch as the driver chose them.
    struct DumbBuffer {
        GemHandle handle;
        std::uint32_t pitch = 0;
        std::uint64_t size = 0;
    };
    Result<DumbBuffer> create_dumb(std::uint32_t width, std::uint32_t height, std::uint32_t bits_per_pixel);
    /// A dma-buf of the object, readable and writable.
    Result<UniqueFd> export_dmabuf(const GemHandle& handle);
    /// How many handles are open.
    std::size_t gem_handle_count() const noexcept;

    struct Impl; ///< of this library only
    Impl& impl() noexcept { return *impl_; }

private:
    friend class GemHandle;
    explicit Device(std::unique_ptr<Impl> impl) noexcept;
    void release(std::uint32_t handle) noexcept;
    std::unique_ptr<Impl> impl_;
};

} // namespace share::kms
