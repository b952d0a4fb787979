// SPDX-License-Identifier: MIT
// EGL's extension functions that this room calls, looked up once, and EGL's error words.
// Thread: any; read-only after the first call.
#pragma once

#include <string>
#include <string_view>

#define EGL_NO_X11
#define MESA_EGL_NO_X11_HEADERS
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GLES3/gl3.h>
// after gl3.h, whose types it needs
#include <GLES2/gl2ext.h>

namespace share::egl {

struct EglApi {
    PFNEGLQUERYDEVICESEXTPROC query_devices = nullptr;
    PFNEGLQUERYDEVICESTRINGEXTPROC query_device_string = nullptr;
    PFNEGLQUERYDISPLAYATTRIBEXTPROC query_display_attrib = nullptr;
    PFNEGLGETPLATFORMDISPLAYEXTPROC get_platform_display = nullptr;
    PFNEGLCREATEIMAGEKHRPROC create_image = nullptr;
    PFNEGLDESTROYIMAGEKHRPROC destroy_image = nullptr;
    PFNEGLQUERYDMABUFFORMATSEXTPROC query_formats = nullptr;
    PFNEGLQUERYDMABUFMODIFIERSEXTPROC query_modifiers = nullptr;
    PFNGLEGLIMAGETARGETTEXTURE2DOESPROC image_target_texture = nullptr;
};
const EglApi& egl_api() noexcept;

/// "EGL_BAD_ALLOC" for what eglGetError() returned.
std::string egl_error_text(EGLint error);
/// True when `name` is a whole word of `list`.
bool extension_in(std::string_view list, std::string_view name) noexcept;

} // namespace share::egl
