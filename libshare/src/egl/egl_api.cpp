// SPDX-License-Identifier: MIT
#include "egl_api.hpp"

#include <fmt/format.h>

namespace share::egl {

namespace {

template<class F>
void look_up(F& function, const char* name) noexcept {
    function = reinterpret_cast<F>(eglGetProcAddress(name));
}

EglApi load() noexcept {
    EglApi api;
    look_up(api.query_devices, "eglQueryDevicesEXT");
    look_up(api.query_device_string, "eglQueryDeviceStringEXT");
    look_up(api.query_display_attrib, "eglQueryDisplayAttribEXT");
    look_up(api.get_platform_display, "eglGetPlatformDisplayEXT");
    look_up(api.create_image, "eglCreateImageKHR");
    look_up(api.destroy_image, "eglDestroyImageKHR");
    look_up(api.query_formats, "eglQueryDmaBufFormatsEXT");
    look_up(api.query_modifiers, "eglQueryDmaBufModifiersEXT");
    look_up(api.image_target_texture, "glEGLImageTargetTexture2DOES");
    return api;
}

} // namespace

const EglApi& egl_api() noexcept {
    static const EglApi api = load();
    return api;
}

std::string egl_error_text(EGLint error) {
    switch (error) {
    case EGL_SUCCESS:
        return "EGL_SUCCESS";
    case EGL_NOT_INITIALIZED:
        return "EGL_NOT_INITIALIZED";
    case EGL_BAD_ACCESS:
        return "EGL_BAD_ACCESS";
    case EGL_BAD_ALLOC:
        return "EGL_BAD_ALLOC";
    case EGL_BAD_ATTRIBUTE:
        return "EGL_BAD_ATTRIBUTE";
    case EGL_BAD_CONFIG:
        return "EGL_BAD_CONFIG";
    case EGL_BAD_CONTEXT:
        return "EGL_BAD_CONTEXT";
    case EGL_BAD_DISPLAY:
        return "EGL_BAD_DISPLAY";
    case EGL_BAD_MATCH:
        return "EGL_BAD_MATCH";
    case EGL_BAD_PARAMETER:
        return "EGL_BAD_PARAMETER";
    case EGL_CONTEXT_LOST:
        return "EGL_CONTEXT_LOST";
    default:
        return fmt::format("EGL error {:#06x}", error);
    }
}

bool extension_in(std::string_view list, std::string_view name) noexcept {
    for (std::size_t at = 0; (at = list.find(name, at)) != std::string_view::npos; at += name.size()) {
        const auto end = at + name.size();
        if ((at == 0 || list[at - 1] == ' ') && (end == list.size() || list[end] == ' ')) return true;
    }
    return false;
}

} // namespace share::egl
