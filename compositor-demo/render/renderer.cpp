// SPDX-License-Identifier: MIT
#include "render/renderer.hpp"

#include "render/pixman_renderer.hpp"
#ifdef COMPOSITOR_HAVE_GL
#include "render/gl_renderer.hpp"
#endif

namespace compositor::render {

namespace {

#ifdef COMPOSITOR_HAVE_GL
share::Result<std::unique_ptr<Renderer>> try_gl(bool hardware_only) {
    return create_gl_renderer(hardware_only);
}
#else
share::Result<std::unique_ptr<Renderer>> try_gl(bool) {
    return share::make_error(share::Code::unsupported, "starting the gl renderer",
                             "this program was built without EGL");
}
#endif

} // namespace

share::Result<std::unique_ptr<Renderer>> create_renderer(const RendererChoice& choice, std::string& why) {
    if (choice.name != "auto" && choice.name != "gl" && choice.name != "pixman")
        return share::make_error(share::Code::invalid_argument, "choosing a renderer",
                                 "there is no renderer '" + choice.name + "'; auto, gl and pixman are known");
    if (choice.name != "pixman") {
        const bool automatic = choice.name == "auto";
        auto gl = try_gl(automatic);
        if (gl) why = (*gl)->describe() + (automatic ? ": a hardware driver is there" : ": asked for");
        if (gl || !automatic) return gl;
        why = gl.error().text();
    }
    auto pixman = create_pixman_renderer();
    if (pixman) why = (*pixman)->describe() + (choice.name == "pixman" ? ": asked for" : ": no gl: " + why);
    return pixman;
}

} // namespace compositor::render
