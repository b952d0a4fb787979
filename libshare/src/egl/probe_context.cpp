// SPDX-License-Identifier: MIT
#include "probe_context.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

namespace share::egl {

namespace {

// One triangle that covers everything; row 0 of the image lands in row 0 of the framebuffer.
constexpr const char* vertex_source = R"(#version 300 es
out vec2 at;
void main() {
    vec2 corner = vec2(float((gl_VertexID & 1) * 2), float(gl_VertexID & 2));
    at = corner;
    gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
})";

std::string fragment_source(bool external) {
    return fmt::format(
        "#version 300 es\n{}precision highp float;\nuniform {} image;\nin vec2 at;\nout vec4 colour;\n"
        "void main() {{ colour = texture(image, at); }}\n",
        external ? "#extension GL_OES_EGL_image_external_essl3 : require\n" : "",
        external ? "samplerExternalOES" : "sampler2D");
}

Result<GLuint> compile(GLenum kind, const std::string& text) {
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
    return make_error(Code::io, "compiling the probing shader", log.data());
}

// At most one of each kind is kept; a lost context reports the same one for ever.
void forget_errors() {
    for (int i = 0; i < 16 && glGetError() != GL_NO_ERROR; ++i) {
    }
}

} // namespace

Result<ProbeContext> ProbeContext::create() {
    ProbeContext context;
    glGenRenderbuffers(1, &context.renderbuffer_);
    glBindRenderbuffer(GL_RENDERBUFFER, context.renderbuffer_);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, pattern_size, pattern_size);
    glGenFramebuffers(1, &context.framebuffer_);
    glBindFramebuffer(GL_FRAMEBUFFER, context.framebuffer_);
    glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, context.renderbuffer_);
    if (glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE)
        return make_error(Code::io, "preparing to probe formats", "the driver gives no RGBA8 framebuffer");
    return context;
}

ProbeContext::ProbeContext(ProbeContext&& other) noexcept
    : programs_(std::exchange(other.programs_, {})),
      framebuffer_(std::exchange(other.framebuffer_, 0)),
      renderbuffer_(std::exchange(other.renderbuffer_, 0)) {}

ProbeContext::~ProbeContext() {
    for (const GLuint program : programs_)
        if (program) glDeleteProgram(program);
    if (framebuffer_) glDeleteFramebuffers(1, &framebuffer_);
    if (renderbuffer_) glDeleteRenderbuffers(1, &renderbuffer_);
}

Result<GLuint> ProbeContext::program(bool external) {
    GLuint& program = programs_[external ? 1 : 0];
    if (program) return program;
    auto vertex = compile(GL_VERTEX_SHADER, vertex_source);
    if (!vertex) return std::move(vertex).error();
    auto fragment = compile(GL_FRAGMENT_SHADER, fragment_source(external));
    if (!fragment) {
        glDeleteShader(*vertex);
        return std::move(fragment).error();
    }
    const GLuint made = glCreateProgram();
    glAttachShader(made, *vertex);
    glAttachShader(made, *fragment);
    glLinkProgram(made);
    glDeleteShader(*vertex);
    glDeleteShader(*fragment);
    GLint ok = 0;
    glGetProgramiv(made, GL_LINK_STATUS, &ok);
    if (!ok) {
        glDeleteProgram(made);
        return make_error(Code::io, "linking the probing shader", "the driver refused it");
    }
    program = made;
    return program;
}

Result<ProbeContext::Pixels> ProbeContext::sample(const Image& image, bool external) {
    auto use = program(external);
    if (!use) return std::move(use).error();
    const GLenum kind = external ? GL_TEXTURE_EXTERNAL_OES : GL_TEXTURE_2D;
    GLuint texture = 0;
    forget_errors();
    glGenTextures(1, &texture);
    glActiveTexture(GL_TEXTURE0);
    glBindTexture(kind, texture);
    glTexParameteri(kind, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    glTexParameteri(kind, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
    glTexParameteri(kind, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    glTexParameteri(kind, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
    egl_api().image_target_texture(kind, image.handle());
    Pixels pixels{};
    const GLenum refused = glGetError();
    if (refused == GL_NO_ERROR) {
        glBindFramebuffer(GL_FRAMEBUFFER, framebuffer_);
        glViewport(0, 0, pattern_size, pattern_size);
        glDisable(GL_BLEND);
        glDisable(GL_SCISSOR_TEST);
        glUseProgram(*use);
        glDrawArrays(GL_TRIANGLES, 0, 3);
        glReadPixels(0, 0, pattern_size, pattern_size, GL_RGBA, GL_UNSIGNED_BYTE, pixels.data());
    }
    const GLenum failed = refused != GL_NO_ERROR ? refused : glGetError();
    glDeleteTextures(1, &texture);
    if (failed == GL_NO_ERROR) return pixels;
    return make_error(Code::unsupported, "sampling an imported image",
                      fmt::format("GL error {:#06x}", failed));
}

} // namespace share::egl
