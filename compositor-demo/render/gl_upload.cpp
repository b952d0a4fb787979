// SPDX-License-Identifier: MIT
#include "render/gl_upload.hpp"

namespace compositor::render {

namespace {

namespace fm = share::format;

constexpr std::array<GLint, 4> rgba{GL_RED, GL_GREEN, GL_BLUE, GL_ALPHA},
    rgbx{GL_RED, GL_GREEN, GL_BLUE, GL_ONE};
constexpr std::array<GLint, 4> bgra{GL_BLUE, GL_GREEN, GL_RED, GL_ALPHA},
    bgrx{GL_BLUE, GL_GREEN, GL_RED, GL_ONE};

constexpr std::array formats{
    UploadFormat{fm::xrgb8888, GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE, bgrx, 4},
    UploadFormat{fm::argb8888, GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE, bgra, 4},
    UploadFormat{fm::xbgr8888, GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE, rgbx, 4},
    UploadFormat{fm::abgr8888, GL_RGBA8, GL_RGBA, GL_UNSIGNED_BYTE, rgba, 4},
    UploadFormat{fm::rgb565, GL_RGB565, GL_RGB, GL_UNSIGNED_SHORT_5_6_5, rgbx, 2},
    UploadFormat{fm::rgb888, GL_RGB8, GL_RGB, GL_UNSIGNED_BYTE, bgrx, 3},
    UploadFormat{fm::bgr888, GL_RGB8, GL_RGB, GL_UNSIGNED_BYTE, rgbx, 3},
    UploadFormat{fm::xrgb2101010, GL_RGB10_A2, GL_RGBA, GL_UNSIGNED_INT_2_10_10_10_REV, bgrx, 4},
    UploadFormat{fm::argb2101010, GL_RGB10_A2, GL_RGBA, GL_UNSIGNED_INT_2_10_10_10_REV, bgra, 4},
    UploadFormat{fm::xbgr2101010, GL_RGB10_A2, GL_RGBA, GL_UNSIGNED_INT_2_10_10_10_REV, rgbx, 4},
    UploadFormat{fm::abgr2101010, GL_RGB10_A2, GL_RGBA, GL_UNSIGNED_INT_2_10_10_10_REV, rgba, 4},
    UploadFormat{fm::r8, GL_R8, GL_RED, GL_UNSIGNED_BYTE, rgbx, 1},
    UploadFormat{fm::gr88, GL_RG8, GL_RG, GL_UNSIGNED_BYTE, rgbx, 2},
};

} // namespace

const UploadFormat* find_upload_format(share::Fourcc fourcc) noexcept {
    for (const UploadFormat& format : formats)
        if (format.fourcc == fourcc) return &format;
    return nullptr;
}

GlTexture make_upload_texture(const DisplayPtr& display, const UploadFormat& format, int width, int height) {
    GlTexture texture = make_texture(display, GL_TEXTURE_2D);
    glTexStorage2D(GL_TEXTURE_2D, 1, static_cast<GLenum>(format.internal), width, height);
    constexpr std::array<GLenum, 4> names{GL_TEXTURE_SWIZZLE_R, GL_TEXTURE_SWIZZLE_G, GL_TEXTURE_SWIZZLE_B,
                                          GL_TEXTURE_SWIZZLE_A};
    for (std::size_t i = 0; i < names.size(); ++i)
        glTexParameteri(GL_TEXTURE_2D, names[i], format.swizzle[i]);
    return texture;
}

std::uint64_t upload(const GlTexture& texture, const UploadFormat& format, const std::byte* pixels,
                     std::uint32_t stride, const scene::Region& damage) {
    glBindTexture(GL_TEXTURE_2D, texture.name());
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    // Row lengths are counted in pixels: a stride that is no whole number of them goes row by row.
    const bool whole = stride % format.bytes == 0;
    glPixelStorei(GL_UNPACK_ROW_LENGTH, whole ? static_cast<GLint>(stride / format.bytes) : 0);
    for (const auto& box : damage.boxes()) {
        const int step = whole ? box.y2 - box.y1 : 1;
        for (int y = box.y1; y < box.y2; y += step) {
            const auto* from = pixels + static_cast<std::size_t>(y) * stride +
                               static_cast<std::size_t>(box.x1) * format.bytes;
            glTexSubImage2D(GL_TEXTURE_2D, 0, box.x1, y, box.x2 - box.x1, step, format.format, format.type,
                            from);
        }
    }
    glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
    return damage.area() * format.bytes;
}

} // namespace compositor::render
