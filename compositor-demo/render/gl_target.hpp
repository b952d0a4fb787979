// SPDX-License-Identifier: MIT
// GlTarget: the output's picture as a GL framebuffer, first row on top. Where the CPU draws it lies in memory
// of ours, so that reading it is no GL business. One thread: the compositor's.
#pragma once

#include <optional>

#include <share/egl/image.hpp>

#include "render/gl_objects.hpp"
#include "render/renderer.hpp"

namespace compositor::render {

class GlTarget final : public Target {
public:
    static share::Result<std::unique_ptr<GlTarget>> create(const DisplayPtr& display, int width, int height);
    int width() const noexcept override { return width_; }
    int height() const noexcept override { return height_; }
    const GlFramebuffer& framebuffer() const noexcept { return framebuffer_; }
    /// True when pixels are XRGB8888 of ours, to which an XRGB8888 image is copied row by row.
    bool in_memory() const noexcept { return image_.has_value(); }
    share::Result<void> read(std::span<std::byte> into, std::uint32_t stride);

private:
    GlTarget() = default;
    share::Result<void> over_memory(const DisplayPtr& display);
    int width_ = 0, height_ = 0;
    std::optional<share::egl::Image> image_;
    GlTexture texture_;
    GlFramebuffer framebuffer_;
};

} // namespace compositor::render
