// SPDX-License-Identifier: MIT
// How a plane's bytes are uploaded into a texture as they lie, and put into order by swizzling.
// One thread: the compositor's. Source: OpenGL ES 3.0, table 3.2.
#pragma once

#include <array>
#include <span>

#include <GLES3/gl3.h>

#include <share/buffer.hpp>

#include "render/gl_objects.hpp"
#include "scene/region.hpp"

namespace compositor::render {

struct UploadFormat {
    share::Fourcc fourcc = 0;
    GLint internal = 0;
    GLenum format = 0, type = 0;
    std::array<GLint, 4> swizzle{};
    std::uint32_t bytes = 0;
};
/// nullptr when GL has no such pixels.
const UploadFormat* find_upload_format(share::Fourcc fourcc) noexcept;

/// A texture of this size without content.
GlTexture make_upload_texture(const DisplayPtr& display, const UploadFormat& format, int width, int height);
/// Copies the damaged pixels; returns the bytes.
std::uint64_t upload(const GlTexture& texture, const UploadFormat& format, const std::byte* pixels,
                     std::uint32_t stride, const scene::Region& damage);

} // namespace compositor::render
