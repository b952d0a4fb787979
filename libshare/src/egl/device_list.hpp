// SPDX-License-Identifier: MIT
// EGL's devices with their handles, for the files of this room. Thread: any.
#pragma once

#include <vector>

#include <share/egl/devices.hpp>

#include "egl_api.hpp"

namespace share::egl {

struct Device {
    EGLDeviceEXT handle = EGL_NO_DEVICE_EXT;
    DeviceInfo info;
};

std::vector<Device> query_devices();

} // namespace share::egl
