// SPDX-License-Identifier: MIT
#include "render/gl_programs.hpp"

#include <string>

namespace compositor::render {

namespace {

constexpr std::size_t single_color = 4;

constexpr const char* vertex = R"(#version 300 es
in vec2 position;
in vec2 texcoord;
out highp vec2 at;
void main() {
    at = texcoord;
    gl_Position = vec4(position, 0.0, 1.0);
})";

constexpr const char* head = "#version 300 es\n";
constexpr const char* external_extension = "#extension GL_OES_EGL_image_external_essl3 : require\n";
constexpr const char* declarations =
    "precision highp float;\nin highp vec2 at;\nout vec4 result;\n"
    "uniform sampler2D image1;\nuniform sampler2D image2;\nuniform vec4 color;\n"
    "uniform vec4 coefficients;\n"
    "vec4 of_yuv(float y, float u, float v) {\n"
    "    y = (y * 255.0 - 16.0) / 219.0;\n"
    "    u = (u * 255.0 - 128.0) / 224.0;\n"
    "    v = (v * 255.0 - 128.0) / 224.0;\n"
    "    vec3 rgb = vec3(y + coefficients.x * v, y - coefficients.y * u - "
    "coefficients.z * v, y + coefficients.w * u);\n"
    "    return vec4(clamp(rgb, 0.0, 1.0), 1.0);\n}\n";

std::string fragment(std::size_t index) {
    const bool external = index == static_cast<std::size_t>(Sampling::external);
    std::string text = head;
    if (external) text += external_extension;
    text += declarations;
    text += external ? "uniform samplerExternalOES image0;\n" : "uniform sampler2D image0;\n";
    switch (index) {
    case single_color:
        return text + "void main() { result = color; }\n";
    case static_cast<std::size_t>(Sampling::y_uv):
        return text + "void main() { vec2 c = texture(image1, at).rg; result = of_yuv(texture(image0, at).r, "
                      "c.x, c.y); }\n";
    case static_cast<std::size_t>(Sampling::y_u_v):
        return text + "void main() { result = of_yuv(texture(image0, at).r, texture(image1, at).r, "
                      "texture(image2, at).r); }\n";
    default:
        return text + "void main() { result = texture(image0, at); }\n";
    }
}

} // namespace

share::Result<Program*> GlPrograms::get(std::size_t index) {
    Program& program = programs_[index];
    if (program.program) return &program;
    auto made = make_program(display_, vertex, fragment(index));
    if (!made) return std::move(made).error();
    program.program = std::move(*made);
    const GLuint name = program.program.name();
    glUseProgram(name);
    program.color = glGetUniformLocation(name, "color");
    program.coefficients = glGetUniformLocation(name, "coefficients");
    glUniform1i(glGetUniformLocation(name, "image0"), 0);
    glUniform1i(glGetUniformLocation(name, "image1"), 1);
    glUniform1i(glGetUniformLocation(name, "image2"), 2);
    return &program;
}

share::Result<void> GlPrograms::use(const GlContent& content, bool nearest) {
    auto program = get(static_cast<std::size_t>(content.sampling()));
    if (!program) return std::move(program).error();
    glUseProgram((*program)->program.name());
    if (content.height() >= 720)
        glUniform4f((*program)->coefficients, 1.5748F, 0.187324F, 0.468124F, 1.8556F);
    else
        glUniform4f((*program)->coefficients, 1.402F, 0.344136F, 0.714136F, 1.772F);
    const GLenum kind = content.sampling() == Sampling::external ? GL_TEXTURE_EXTERNAL_OES : GL_TEXTURE_2D;
    for (std::size_t i = 0; i < content.texture_count(); ++i) {
        // Chroma is always interpolated: its samples are larger than pixels.
        const GLint filter = nearest && i == 0 ? GL_NEAREST : GL_LINEAR;
        glActiveTexture(GL_TEXTURE0 + static_cast<GLenum>(i));
        glBindTexture(kind, content.texture(i).name());
        glTexParameteri(kind, GL_TEXTURE_MIN_FILTER, filter);
        glTexParameteri(kind, GL_TEXTURE_MAG_FILTER, filter);
    }
    glActiveTexture(GL_TEXTURE0);
    return {};
}

share::Result<void> GlPrograms::use_color(const scene::Color& color) {
    auto program = get(single_color);
    if (!program) return std::move(program).error();
    glUseProgram((*program)->program.name());
    glUniform4f((*program)->color, color.r, color.g, color.b, color.a);
    return {};
}

} // namespace compositor::render
