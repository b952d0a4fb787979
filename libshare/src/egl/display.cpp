// SPDX-License-Identifier: MIT
#include <share/egl/display.hpp>

#include <strings.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "device_list.hpp"

namespace share::egl {

namespace {

std::string_view or_empty(const char* text) noexcept {
    return text ? text : "";
}

std::string gl_string(GLenum name) {
    return std::string(or_empty(reinterpret_cast<const char*>(glGetString(name))));
}

bool names_software(std::string_view renderer) noexcept {
    for (const std::string_view word : {"llvmpipe", "softpipe", "swrast", "Software Rasterizer"})
        if (renderer.find(word) != std::string_view::npos) return true;
    return false;
}

std::uint64_t device_number(const std::string& node) noexcept {
    struct stat st{};
    return !node.empty() && stat(node.c_str(), &st) == 0 && S_ISCHR(st.st_mode) ? st.st_rdev : 0;
}

/// As Mesa reads this variable.
bool wants_software() {
    const std::string_view word = or_empty(std::getenv("LIBGL_ALWAYS_SOFTWARE"));
    for (const std::string_view yes : {"1", "true", "y", "yes", "t"})
        if (word.size() == yes.size() && strncasecmp(word.data(), yes.data(), yes.size()) == 0) return true;
    return false;
}

} // namespace

// Builds a Display step by step; what was made so far is undone by ~Display.
struct DisplayOpener {
    // Its DRM node's number, 0 for none. The surfaceless platform picks a device itself: EGL_EXT_device_query
    // tells which.
    static std::uint64_t device_of(EGLDisplay handle) {
        EGLAttrib attribute = 0;
        const EglApi& api = egl_api();
        if (!api.query_display_attrib || !api.query_display_attrib(handle, EGL_DEVICE_EXT, &attribute))
            return 0;
        for (const auto& [device, info] : query_devices())
            if (device == reinterpret_cast<EGLDeviceEXT>(attribute)) return device_number(info.node);
        return 0;
    }

    static Result<std::shared_ptr<Display>> open(EGLenum platform, void* native, std::string name,
                                                 std::uint64_t main_device) {
        auto display = std::shared_ptr<Display>(new Display);
        display->platform_ = std::move(name);
        const std::string operation = fmt::format("opening EGL on {}", display->platform_);
        const auto fail = [&](std::string_view call) {
            return make_error(Code::unavailable, operation,
                              fmt::format("{}: {}", call, egl_error_text(eglGetError())));
        };
        // Without reference counting one user's eglTerminate would end the display of all in this process.
        const auto client = or_empty(eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS));
        const std::array<EGLint, 3> counted{EGL_TRACK_REFERENCES_KHR, EGL_TRUE, EGL_NONE};
        display->counted_ = extension_in(client, "EGL_KHR_display_reference");
        EGLDisplay handle =
            egl_api().get_platform_display(platform, native, display->counted_ ? counted.data() : nullptr);
        if (handle == EGL_NO_DISPLAY) return fail("eglGetPlatformDisplay");
        if (!eglInitialize(handle, nullptr, nullptr)) return fail("eglInitialize");
        display->display_ = handle;
        display->extensions_ = or_empty(eglQueryString(handle, EGL_EXTENSIONS));
        for (const auto* needed : {"EGL_KHR_no_config_context", "EGL_KHR_surfaceless_context"})
            if (!display->has_extension(needed))
                return make_error(Code::unavailable, operation, fmt::format("the driver lacks {}", needed));
        if (!eglBindAPI(EGL_OPENGL_ES_API)) return fail("eglBindAPI(OpenGL ES)");
        const std::array<EGLint, 5> attributes{EGL_CONTEXT_MAJOR_VERSION, 3, EGL_CONTEXT_MINOR_VERSION, 0,
                                               EGL_NONE};
        display->context_ = eglCreateContext(handle, EGL_NO_CONFIG_KHR, EGL_NO_CONTEXT, attributes.data());
        if (!display->context_) return fail("eglCreateContext(OpenGL ES 3.0)");
        if (auto current = display->make_current(); !current) return std::move(current).error();
        display->driver_ = gl_string(GL_RENDERER);
        display->version_ = gl_string(GL_VERSION);
        display->software_ = names_software(display->driver_);
        display->main_device_ = display->software_ ? 0 : main_device;
        display->imports_ = !display->software_ || device_of(handle) == 0;
        return display;
    }

    // Before surfaceless: on a machine with a DRM node that cannot draw (a display controller), surfaceless
    // puts the software driver on that node, and it then takes no memfd.
    static Result<std::shared_ptr<Display>> software(std::string_view client) {
        for (const auto& [device, info] : query_devices()) {
            if (!info.software) continue;
            auto display = open(EGL_PLATFORM_DEVICE_EXT, device, "software device", 0);
            if (display) return display;
        }
        return surfaceless(client);
    }

    static Result<std::shared_ptr<Display>> surfaceless(std::string_view client) {
        if (!extension_in(client, "EGL_MESA_platform_surfaceless"))
            return make_error(Code::unavailable, "opening EGL on surfaceless",
                              "EGL lacks EGL_MESA_platform_surfaceless; install Mesa 25 or newer");
        auto display = open(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, "surfaceless", 0);
        if (display && !(*display)->software_) (*display)->main_device_ = device_of((*display)->display_);
        return display;
    }
};

Result<std::shared_ptr<Display>> Display::open(const DisplayOptions& options) {
    const auto client = or_empty(eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS));
    if (!egl_api().get_platform_display || !extension_in(client, "EGL_EXT_platform_base"))
        return make_error(Code::unavailable, "opening EGL",
                          "EGL lacks EGL_EXT_platform_base; install Mesa's EGL (libegl-mesa0)");
    std::string refused;
    // Mesa 25.0 crashes when it is told to open a DRM device and, by the environment, to draw in software.
    const bool software_only = options.software_only || wants_software();
    if (!software_only && extension_in(client, "EGL_EXT_platform_device")) {
        for (const auto& [device, info] : query_devices()) {
            if (info.software || info.node.empty()) continue;
            if (!options.node.empty() && options.node != info.node && options.node != info.primary) continue;
            auto display = DisplayOpener::open(EGL_PLATFORM_DEVICE_EXT, device, "device " + info.node,
                                               device_number(info.node));
            if (display && ((*display)->is_software() == false || !options.node.empty())) return display;
            refused += display ? fmt::format("{} draws in software ({}); ", info.node, (*display)->driver())
                               : display.error().text() + "; ";
        }
    }
    if (!options.node.empty())
        return make_error(Code::unavailable, fmt::format("opening EGL on {}", options.node),
                          software_only     ? "only software was asked for (LIBGL_ALWAYS_SOFTWARE?)"
                          : refused.empty() ? "no EGL device has this node; share-info lists what there is"
                                            : refused);
    const bool devices = extension_in(client, "EGL_EXT_platform_device");
    auto display = devices ? DisplayOpener::software(client) : DisplayOpener::surfaceless(client);
    if (!display && !refused.empty()) display.error().detail += "; before: " + refused;
    return display;
}

Display::~Display() {
    if (!display_) return;
    if (context_) {
        if (eglGetCurrentContext() == context_)
            eglMakeCurrent(display_, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
        eglDestroyContext(display_, context_);
    }
    if (counted_) eglTerminate(display_);
}

Result<void> Display::make_current() const {
    if (eglGetCurrentContext() == context_) return {};
    if (eglMakeCurrent(display_, EGL_NO_SURFACE, EGL_NO_SURFACE, context_)) return {};
    return make_error(Code::io, "making the OpenGL ES context current", egl_error_text(eglGetError()));
}

bool Display::has_extension(std::string_view name) const noexcept {
    return extension_in(extensions_, name);
}

std::vector<AdvertisedFormat> Display::advertised_formats() const {
    std::vector<AdvertisedFormat> pairs;
    const EglApi& api = egl_api();
    if (!imports() || !has_extension("EGL_EXT_image_dma_buf_import")) return pairs;
    if (!has_extension("EGL_EXT_image_dma_buf_import_modifiers") || !api.query_formats ||
        !api.query_modifiers) {
        // Nothing can be asked: these two every driver takes, and the prober tries them.
        return {{format::xrgb8888, modifier::none, false}, {format::argb8888, modifier::none, false}};
    }
    EGLint count = 0;
    if (!api.query_formats(display_, 0, nullptr, &count) || count <= 0) return pairs;
    std::vector<EGLint> formats(static_cast<std::size_t>(count));
    if (!api.query_formats(display_, count, formats.data(), &count)) return pairs;
    formats.resize(static_cast<std::size_t>(count));
    for (const EGLint code : formats) {
        EGLint found = 0;
        if (!api.query_modifiers(display_, code, 0, nullptr, nullptr, &found) || found <= 0) {
            pairs.push_back({static_cast<Fourcc>(code), modifier::none, false});
            continue;
        }
        std::vector<EGLuint64KHR> modifiers(static_cast<std::size_t>(found));
        std::vector<EGLBoolean> external(modifiers.size());
        if (!api.query_modifiers(display_, code, found, modifiers.data(), external.data(), &found)) continue;
        const auto told = std::min(modifiers.size(), static_cast<std::size_t>(std::max(found, 0)));
        for (std::size_t i = 0; i < told; ++i)
            pairs.push_back({static_cast<Fourcc>(code), modifiers[i], external[i] == EGL_TRUE});
    }
    return pairs;
}

} // namespace share::egl
