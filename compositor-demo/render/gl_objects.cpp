// SPDX-License-Identifier: MIT
#include "render/gl_objects.hpp"

#define EGL_NO_X11
#include <EGL/egl.h>

#include <array>

#include <fmt/format.h>

namespace compositor::render {

namespace {

PFNGLEGLIMAGETARGETTEXTURE2DOESPROC image_target() {
    static const auto function = reinterpret_cast<PFNGLEGLIMAGETARGETTEXTURE2DOESPROC>(
        eglGetProcAddress("glEGLImageTargetTexture2DOES"));
    return function;
}

share::Result<GLuint> compile(GLenum kind, const std::string& text) {
    const GLuint shader = glCreateShader(kind);
    const char* source = text.c_str();
    glShaderSource(shader, 1, &source, nullptr);
    glCompileShader(shader);
    GLint ok = 0;
    glGetShaderiv(shader, GL_COMPILE_STATUS, &ok);
    if (ok) return shader;
    std::array<char, 512> log{};
    glGetShaderInfoLog(shader, static_cast<GLsizei>(log.size()), nullptr, log.data());
    glDeleteShader(shader);
    return share::make_error(share::Code::io, "compiling a shader", log.data());
}

} // namespace

GlTexture make_texture(const DisplayPtr& display, GLenum kind) {
    GLuint name = 0;
    glGenTextures(1, &name);
    glBindTexture(kind, name);
    glTexParameteri(kind, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glTexParameteri(kind, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
    glTexParameteri(kind, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    glTexParameteri(kind, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
    return GlTexture(display, name);
}

share::Result<GlTexture> texture_of_image(const DisplayPtr& display, GLenum kind, void* image) {
    if (!image_target())
        return share::make_error(share::Code::unsupported, "making a texture of an EGLImage",
                                 "the driver lacks GL_OES_EGL_image");
    while (glGetError() != GL_NO_ERROR) {
    }
    GlTexture texture = make_texture(display, kind);
    image_target()(kind, image);
    const GLenum error = glGetError();
    if (error == GL_NO_ERROR) return texture;
    return share::make_error(share::Code::unsupported, "making a texture of an EGLImage",
                             fmt::format("GL error {:#06x}", error));
}

share::Result<GlFramebuffer> framebuffer_of(const DisplayPtr& display, const GlTexture& texture) {
    GLuint name = 0;
    glGenFramebuffers(1, &name);
    GlFramebuffer framebuffer(display, name);
    glBindFramebuffer(GL_FRAMEBUFFER, name);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture.name(), 0);
    if (glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE) return framebuffer;
    return share::make_error(share::Code::unsupported, "making a framebuffer",
                             "the driver does not draw to this format");
}

share::Result<GlProgram> make_program(const DisplayPtr& display, const std::string& vertex,
                                      const std::string& fragment) {
    auto first = compile(GL_VERTEX_SHADER, vertex);
    if (!first) return std::move(first).error();
    auto second = compile(GL_FRAGMENT_SHADER, fragment);
    const GLuint name = second ? glCreateProgram() : 0;
    if (second) {
        glAttachShader(name, *first);
        glAttachShader(name, *second);
        glBindAttribLocation(name, 0, "position");
        glBindAttribLocation(name, 1, "texcoord");
        glLinkProgram(name);
        glDeleteShader(*second);
    }
    glDeleteShader(*first);
    if (!second) return std::move(second).error();
    GlProgram program(display, name);
    GLint ok = 0;
    glGetProgramiv(name, GL_LINK_STATUS, &ok);
    if (ok) return program;
    return share::make_error(share::Code::io, "linking a shader", "the driver refused it");
}

} // namespace compositor::render
