// SPDX-License-Identifier: MIT
// list_devices(): what this machine's EGL could draw on, before any of it is opened.
//
// Owner: plain values. Thread: any. Errors: none; an EGL that cannot list devices gives an empty list.
// Source: EGL_EXT_device_enumeration, EGL_EXT_device_query, EGL_EXT_device_drm,
// EGL_EXT_device_drm_render_node, EGL_MESA_device_software.
#pragma once

#include <string>
#include <vector>

#include <share/api.hpp>

namespace share::egl {

struct DeviceInfo {
    std::string node;      ///< the render node, else the primary node; empty when there is none
    std::string primary;   ///< "/dev/dri/card0"; empty when there is none
    bool software = false; ///< the CPU draws
};

SHARE_API std::vector<DeviceInfo> list_devices();

} // namespace share::egl
