// SPDX-License-Identifier: MIT
#include "render/gl_target.hpp"

#include <cstring>
#include <vector>

#include <fmt/format.h>

#include <share/heap.hpp>

namespace compositor::render {

share::Result<std::unique_ptr<GlTarget>> GlTarget::create(const DisplayPtr& display, int width, int height) {
    GLint largest = 0;
    glGetIntegerv(GL_MAX_TEXTURE_SIZE, &largest);
    if (width <= 0 || height <= 0 || width > largest || height > largest)
        return share::make_error(share::Code::limit,
                                 fmt::format("making a {}x{} output picture", width, height),
                                 fmt::format("the driver draws 1 to {} pixels a side", largest));
    std::unique_ptr<GlTarget> target(new GlTarget);
    target->width_ = width;
    target->height_ = height;
    if (!display->is_software() || !target->over_memory(display)) {
        target->image_.reset();
        target->texture_ = make_texture(display, GL_TEXTURE_2D);
        glTexStorage2D(GL_TEXTURE_2D, 1, GL_RGBA8, width, height);
        auto framebuffer = framebuffer_of(display, target->texture_);
        if (!framebuffer) return std::move(framebuffer).error();
        target->framebuffer_ = std::move(*framebuffer);
    }
    glBindFramebuffer(GL_FRAMEBUFFER, target->framebuffer_.name());
    glDisable(GL_SCISSOR_TEST);
    glClearColor(0, 0, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    return target;
}

share::Result<void> GlTarget::over_memory(const DisplayPtr& display) {
    auto heaps = share::HeapTable::probe();
    auto heap = heaps.find("memfd");
    if (!heap) return std::move(heap).error();
    auto layout = share::Layout::linear(static_cast<std::uint32_t>(width_),
                                        static_cast<std::uint32_t>(height_), share::format::xrgb8888);
    if (!layout) return std::move(layout).error();
    auto memory = (*heap)->allocate(layout->size(), "output picture");
    if (!memory) return std::move(memory).error();
    auto buffer = share::Buffer::create(std::move(*memory), 0, *layout);
    if (!buffer) return std::move(buffer).error();
    auto image = share::egl::Image::import(display, *buffer);
    if (!image) return std::move(image).error();
    auto texture = texture_of_image(display, GL_TEXTURE_2D, image->handle());
    if (!texture) return std::move(texture).error();
    auto framebuffer = framebuffer_of(display, *texture);
    if (!framebuffer) return std::move(framebuffer).error();
    image_.emplace(std::move(*image));
    texture_ = std::move(*texture);
    framebuffer_ = std::move(*framebuffer);
    return {};
}

share::Result<void> GlTarget::read(std::span<std::byte> into, std::uint32_t stride) {
    const auto row = static_cast<std::size_t>(width_) * 4, rows = static_cast<std::size_t>(height_);
    if (stride < row || into.size() < (rows - 1) * stride + row)
        return share::make_error(share::Code::invalid_argument, "reading the output's picture",
                                 "no room for it");
    glBindFramebuffer(GL_FRAMEBUFFER, framebuffer_.name());
    glFinish();
    if (image_) {
        auto mapping =
            image_->buffer()->map(share::Access::read, share::Deadline::in(std::chrono::milliseconds(100)));
        if (!mapping) return std::move(mapping).error();
        for (std::size_t y = 0; y < rows; ++y)
            std::memcpy(into.data() + y * stride, mapping->row(0, static_cast<std::uint32_t>(y)).data(), row);
        return mapping->end();
    }
    std::vector<std::uint8_t> rgba(row * rows);
    glPixelStorei(GL_PACK_ALIGNMENT, 4);
    glReadPixels(0, 0, width_, height_, GL_RGBA, GL_UNSIGNED_BYTE, rgba.data());
    for (std::size_t y = 0; y < rows; ++y)
        for (std::size_t x = 0; x < row; x += 4) {
            const std::uint8_t* p = &rgba[y * row + x];
            const std::uint32_t pixel =
                0xff000000U | static_cast<std::uint32_t>(p[0] << 16 | p[1] << 8 | p[2]);
            std::memcpy(into.data() + y * stride + x, &pixel, 4);
        }
    return {};
}

} // namespace compositor::render
