// SPDX-License-Identifier: MIT
#include "device_list.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace share::egl {

namespace {

std::string_view or_empty(const char* text) noexcept {
    return text ? text : "";
}

} // namespace

std::vector<Device> query_devices() {
    const EglApi& api = egl_api();
    std::array<EGLDeviceEXT, 16> handles{};
    EGLint count = 0;
    std::vector<Device> devices;
    if (!api.query_devices || !api.query_device_string) return devices;
    if (!api.query_devices(static_cast<EGLint>(handles.size()), handles.data(), &count)) return devices;
    for (EGLint i = 0; i < count; ++i) {
        Device device{handles[static_cast<std::size_t>(i)], {}};
        auto& info = device.info;
        const auto extensions = or_empty(api.query_device_string(device.handle, EGL_EXTENSIONS));
        info.software = extension_in(extensions, "EGL_MESA_device_software");
        if (!info.software && extension_in(extensions, "EGL_EXT_device_drm"))
            info.primary = or_empty(api.query_device_string(device.handle, EGL_DRM_DEVICE_FILE_EXT));
        if (!info.software && extension_in(extensions, "EGL_EXT_device_drm_render_node"))
            info.node = or_empty(api.query_device_string(device.handle, EGL_DRM_RENDER_NODE_FILE_EXT));
        if (info.node.empty()) info.node = info.primary;
        eglGetError(); // a device without a file raises one
        devices.push_back(std::move(device));
    }
    return devices;
}

std::vector<DeviceInfo> list_devices() {
    std::vector<DeviceInfo> infos;
    for (auto& device : query_devices())
        infos.push_back(std::move(device.info));
    return infos;
}

} // namespace share::egl
