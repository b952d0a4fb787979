// SPDX-License-Identifier: MIT
// Display: an EGL display without a window system, and one OpenGL ES 3 context on it.
//
// Opens a DRM device by EGL_EXT_platform_device where there is one that draws in hardware; otherwise EGL's
// software device, or Mesa's surfaceless platform where there is none; and says what it is: which driver,
// software or not, which device. Owned by shared_ptr: images and contents hold their share, so the context
// outlives all that was made with it. Thread: the context is current on one thread at a time; everything here
// belongs to that thread. Handles are EGL's own pointers as void*, so that users of this header need no EGL
// headers. Sources: EGL_EXT_platform_device, EGL_EXT_device_drm, EGL_MESA_platform_surfaceless,
// EGL_MESA_device_software, EGL_EXT_image_dma_buf_import_modifiers, EGL_KHR_display_reference.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/format.hpp>
#include <share/result.hpp>

namespace share::egl {

struct DisplayOptions {
    /// Only this DRM node ("/dev/dri/renderD128"); empty: the best device.
    std::string node;
    /// Skip hardware devices.
    bool software_only = false;
};

/// A pair that the driver says it imports. What it says is not what it does: see prober.hpp.
struct AdvertisedFormat {
    Fourcc format = 0;
    std::uint64_t modifier = 0;
    bool external_only = false; ///< can be sampled by samplerExternalOES only
};

class SHARE_API Display {
public:
    /// Errors: unavailable (no EGL, no device that gives an OpenGL ES 3 context: each with its reason).
    static Result<std::shared_ptr<Display>> open(const DisplayOptions& options = {});
    ~Display();
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;

    /// EGLDisplay.
    void* handle() const noexcept { return display_; }
    /// Binds the context to the calling thread, without a surface. Errors: io.
    Result<void> make_current() const;
    /// Of the display (not of the client library).
    bool has_extension(std::string_view name) const noexcept;

    /// True when the CPU draws: llvmpipe, softpipe, swrast.
    bool is_software() const noexcept { return software_; }
    /// GL_RENDERER: "llvmpipe (LLVM 15.0.6, 256 bits)".
    const std::string& driver() const noexcept { return driver_; }
    /// GL_VERSION: "OpenGL ES 3.2 Mesa 25.0.7".
    const std::string& version() const noexcept { return version_; }
    /// "device /dev/dri/renderD128", "software device" or "surfaceless".
    const std::string& platform() const noexcept { return platform_; }
    /// st_rdev of the DRM node that renders; 0 when there is none (software).
    std::uint64_t main_device() const noexcept { return main_device_; }

    /// False for a software driver on a DRM node (Mesa's kms_swrast): it takes foreign buffers, and crashes
    /// when it reads them. Nothing is then advertised, and Image::import refuses.
    bool imports() const noexcept { return imports_; }
    /// What the driver advertises for import. A format without modifiers is listed once with modifier::none.
    std::vector<AdvertisedFormat> advertised_formats() const;

private:
    Display() = default;
    friend struct DisplayOpener;
    void* display_ = nullptr;
    void* context_ = nullptr;
    std::string extensions_;
    bool counted_ = false; ///< EGL counts its users, so that ours may terminate it
    bool software_ = false;
    bool imports_ = true;
    std::string driver_, version_, platform_;
    std::uint64_t main_device_ = 0;
};

} // namespace share::egl
