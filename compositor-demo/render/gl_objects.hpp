// SPDX-License-Identifier: MIT
// GL objects with owners, and the extension functions that the renderer calls.
// One thread: the compositor's. Every object holds its share of the display and makes its context current
// before it goes.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <GLES3/gl3.h>
// after gl3.h, whose types it needs
#include <GLES2/gl2ext.h>

#include <share/egl/display.hpp>
#include <share/result.hpp>

namespace compositor::render {

using DisplayPtr = std::shared_ptr<share::egl::Display>;

enum class GlKind { texture, framebuffer, program };

template<GlKind kind>
class GlObject {
public:
    GlObject() noexcept = default;
    GlObject(DisplayPtr display, GLuint name) noexcept : display_(std::move(display)), name_(name) {}
    GlObject(GlObject&& other) noexcept
        : display_(std::move(other.display_)), name_(std::exchange(other.name_, 0)) {}
    GlObject& operator=(GlObject&& other) noexcept {
        std::swap(display_, other.display_);
        std::swap(name_, other.name_);
        return *this;
    }
    ~GlObject() {
        if (!name_ || !display_->make_current()) return;
        if constexpr (kind == GlKind::texture)
            glDeleteTextures(1, &name_);
        else if constexpr (kind == GlKind::framebuffer)
            glDeleteFramebuffers(1, &name_);
        else
            glDeleteProgram(name_);
    }
    GLuint name() const noexcept { return name_; }
    explicit operator bool() const noexcept { return name_ != 0; }

private:
    DisplayPtr display_;
    GLuint name_ = 0;
};
using GlTexture = GlObject<GlKind::texture>;
using GlFramebuffer = GlObject<GlKind::framebuffer>;
using GlProgram = GlObject<GlKind::program>;

/// A texture of `kind` (GL_TEXTURE_2D or GL_TEXTURE_EXTERNAL_OES), bound, clamped, nearest.
GlTexture make_texture(const DisplayPtr& display, GLenum kind);
/// The same over an EGLImage. Errors: unsupported.
share::Result<GlTexture> texture_of_image(const DisplayPtr& display, GLenum kind, void* image);
/// A framebuffer that draws to or reads from a GL_TEXTURE_2D. Errors: unsupported (not renderable).
share::Result<GlFramebuffer> framebuffer_of(const DisplayPtr& display, const GlTexture& texture);
/// Errors: io, with the compiler's words.
share::Result<GlProgram> make_program(const DisplayPtr& display, const std::string& vertex,
                                      const std::string& fragment);

} // namespace compositor::render
