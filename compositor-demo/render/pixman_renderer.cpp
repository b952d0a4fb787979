// SPDX-License-Identifier: MIT
#include "render/pixman_renderer.hpp"

#include <sys/mman.h>

#include <cassert>
#include <cstring>

#include <fmt/format.h>

#include "render/geometry.hpp"
#include "render/pixman_content.hpp"
#include "render/probe.hpp"

namespace compositor::render {

namespace {

// pixman's rasteriser counts in 16 bits.
constexpr std::uint32_t largest = 32767;

class PixmanTarget final : public Target {
public:
    static share::Result<std::unique_ptr<PixmanTarget>> create(int width, int height) {
        const std::string operation = fmt::format("making a {}x{} output picture", width, height);
        if (width <= 0 || height <= 0 || width > static_cast<int>(largest) ||
            height > static_cast<int>(largest))
            return share::make_error(share::Code::limit, operation, "pixman draws 1 to 32767 pixels a side");
        std::unique_ptr<PixmanTarget> target(new PixmanTarget);
        target->width_ = width;
        target->height_ = height;
        target->size_ = static_cast<std::size_t>(target->stride()) * static_cast<std::size_t>(height);
        void* at = mmap(nullptr, target->size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) return share::error_from_errno(errno, operation);
        target->pixels_ = static_cast<std::byte*>(at);
        madvise(at, target->size_, MADV_HUGEPAGE); // a wish
        target->image_.reset(pixman_image_create_bits_no_clear(
            PIXMAN_x8r8g8b8, width, height, static_cast<std::uint32_t*>(at), target->stride()));
        if (!target->image_)
            return share::make_error(share::Code::out_of_memory, operation, "pixman refused it");
        return target;
    }
    ~PixmanTarget() override {
        image_.reset();
        if (pixels_) munmap(pixels_, size_);
    }
    PixmanTarget(const PixmanTarget&) = delete;
    PixmanTarget& operator=(const PixmanTarget&) = delete;
    int width() const noexcept override { return width_; }
    int height() const noexcept override { return height_; }
    int stride() const noexcept { return width_ * 4; }
    const std::byte* pixels() const noexcept { return pixels_; }
    std::byte* pixels() noexcept { return pixels_; }
    pixman_image_t* image() const noexcept { return image_.get(); }

private:
    PixmanTarget() = default;
    int width_ = 0, height_ = 0;
    std::size_t size_ = 0;
    std::byte* pixels_ = nullptr;
    PixmanImage image_;
};

std::uint16_t channel(float value) {
    return static_cast<std::uint16_t>(std::clamp(value, 0.0F, 1.0F) * 65535.0F + 0.5F);
}

void fill(PixmanTarget& target, const scene::Item& item, const scene::Region& part) {
    const pixman_color_t color{channel(item.color.r), channel(item.color.g), channel(item.color.b),
                               channel(item.color.a)};
    const auto boxes = part.boxes();
    pixman_image_fill_boxes(item.blend ? PIXMAN_OP_OVER : PIXMAN_OP_SRC, target.image(), &color,
                            static_cast<int>(boxes.size()), boxes.data());
}

// Output pixel `from_x`, `from_y` is 0,0 here: pixman's numbers are 16.16, small ones are exact.
void set_transform(pixman_image_t* image, const scene::Item& item, int from_x, int from_y) {
    const Affine m = output_to_buffer(item);
    const double x0 = m.x0 + m.xx * from_x + m.xy * from_y;
    const double y0 = m.y0 + m.yx * from_x + m.yy * from_y;
    const pixman_transform_t transform{
        {{pixman_double_to_fixed(m.xx), pixman_double_to_fixed(m.xy), pixman_double_to_fixed(x0)},
         {pixman_double_to_fixed(m.yx), pixman_double_to_fixed(m.yy), pixman_double_to_fixed(y0)},
         {0, 0, pixman_fixed_1}}};
    pixman_image_set_transform(image, &transform);
}

void composite(PixmanTarget& target, const scene::Item& item, const scene::Region& part,
               pixman_image_t* image) {
    const Placement placement = place(item);
    const scene::Rect area = part.extents();
    int x = area.x - item.dest.x, y = area.y - item.dest.y;
    if (placement.one_to_one) {
        pixman_image_set_transform(image, nullptr);
        x = area.x + placement.dx;
        y = area.y + placement.dy;
    } else {
        // Beyond 16 bits pixman draws nothing at all: of a huge rectangle only the drawn part counts.
        constexpr int far = 16384;
        const int from_x = x + area.width > far ? area.x : item.dest.x;
        const int from_y = y + area.height > far ? area.y : item.dest.y;
        x = area.x - from_x;
        y = area.y - from_y;
        set_transform(image, item, from_x, from_y);
    }
    pixman_image_set_filter(image, placement.nearest ? PIXMAN_FILTER_NEAREST : PIXMAN_FILTER_BILINEAR,
                            nullptr, 0);
    pixman_image_set_clip_region32(target.image(), part.raw());
    pixman_image_composite32(item.blend ? PIXMAN_OP_OVER : PIXMAN_OP_SRC, image, nullptr, target.image(), x,
                             y, 0, 0, area.x, area.y, area.width, area.height);
    pixman_image_set_clip_region32(target.image(), nullptr);
}

// Equal pixels need no pixman: libc's memcpy is a third faster on frames that are larger than the caches.
// False when something of the part lies outside the buffer.
bool copy(PixmanTarget& target, const PixmanContent& content, const Placement& placement,
          const scene::Region& part) {
    const scene::Rect area = part.extents();
    const int left = area.x + placement.dx, top = area.y + placement.dy;
    if (left < 0 || top < 0 || left + area.width > content.width() || top + area.height > content.height())
        return false;
    const auto from_stride = content.stride(), to_stride = static_cast<std::size_t>(target.stride());
    for (const auto& b : part.boxes()) {
        const auto x = static_cast<std::size_t>(b.x1 + placement.dx),
                   y = static_cast<std::size_t>(b.y1 + placement.dy);
        const std::byte* from = content.pixels() + y * from_stride + x * 4;
        std::byte* to =
            target.pixels() + static_cast<std::size_t>(b.y1) * to_stride + static_cast<std::size_t>(b.x1) * 4;
        const auto row = static_cast<std::size_t>(b.x2 - b.x1) * 4,
                   rows = static_cast<std::size_t>(b.y2 - b.y1);
        if (row == from_stride && row == to_stride) {
            std::memcpy(to, from, row * rows);
            continue;
        }
        for (std::size_t i = 0; i < rows; ++i)
            std::memcpy(to + i * to_stride, from + i * from_stride, row);
    }
    return true;
}

share::Result<void> paint(PixmanTarget& target, const scene::Item& item, const scene::Region& part,
                          PixmanContent& content) {
    const Placement placement = place(item);
    const bool plain = placement.one_to_one && !item.blend && content.format().exact_copy;
    if (plain && copy(target, content, placement, part)) return {};
    pixman_image_t* image = content.image(item.blend);
    if (!image)
        return share::make_error(share::Code::out_of_memory, "making a pixman image", "pixman refused it");
    composite(target, item, part, image);
    return {};
}

share::Step step_of(const scene::Item& item, const PixmanContent& content, std::uint64_t bytes) {
    const bool plain = place(item).one_to_one && !item.blend;
    if (plain && content.format().exact_copy)
        return {"compose", share::Mechanism::blit,      share::By::compositor, bytes,
                0,         "pixman: one to one, opaque"};
    if (plain)
        return {"compose",
                share::Mechanism::draw,
                share::By::compositor,
                0,
                bytes,
                "pixman: converted from " + share::fourcc_text(content.format().fourcc)};
    return {"compose",
            share::Mechanism::draw,
            share::By::compositor,
            bytes,
            0,
            item.blend ? "pixman: blended" : "pixman: scaled or turned"};
}

class PixmanRenderer final : public Renderer {
public:
    share::Result<void> probe();

    std::string_view name() const noexcept override { return "pixman"; }
    std::string describe() const override {
        return fmt::format("pixman ({}, software)", pixman_version_string());
    }
    std::span<const share::Fourcc> shm_formats() const override { return shm_formats_; }
    std::span<const share::FormatModifier> dmabuf_formats() const override { return dmabuf_formats_; }
    bool accepts_memfd_as_dmabuf() const override { return true; }
    std::uint64_t main_device() const override { return 0; }
    share::Result<std::shared_ptr<scene::Content>> import(std::shared_ptr<share::Buffer> buffer,
                                                          bool dmabuf) override;
    share::Result<void> refresh(scene::Content& content, const scene::Region& damage) override;
    share::Result<std::unique_ptr<Target>> create_target(int width, int height) override;
    share::Result<void> render(Target& target, const scene::Frame& frame, scene::Drawn& drawn) override;
    share::Result<void> read(Target& target, std::span<std::byte> into, std::uint32_t stride) override;

private:
    void draw(PixmanTarget& target, const scene::Item& item, const scene::Region& part, scene::Drawn& drawn);
    std::vector<share::Fourcc> shm_formats_;
    std::vector<share::FormatModifier> dmabuf_formats_;
};

share::Result<void> PixmanRenderer::probe() {
    auto heaps = share::HeapTable::probe();
    auto heap = heaps.first_of({"memfd", "sysv"});
    if (!heap) return std::move(heap).error();
    auto target = create_target(probe_size, probe_size);
    if (!target) return std::move(target).error();
    for (const PixmanFormat& format : pixman_formats()) {
        auto good = probe_format(*this, **target, **heap, format.fourcc, share::modifier::linear, false);
        if (!good && format.fourcc == share::format::xrgb8888) return good;
        if (!good) continue;
        shm_formats_.push_back(format.fourcc);
        dmabuf_formats_.push_back({format.fourcc, share::modifier::linear});
        dmabuf_formats_.push_back({format.fourcc, share::modifier::none});
    }
    return {};
}

share::Result<std::shared_ptr<scene::Content>> PixmanRenderer::import(std::shared_ptr<share::Buffer> buffer,
                                                                      bool dmabuf) {
    const share::Layout layout = buffer->layout();
    const std::string operation =
        fmt::format("importing a {}x{} {} buffer ({}) into pixman", layout.width(), layout.height(),
                    share::fourcc_text(layout.format()), share::modifier_text(layout.modifier()));
    const PixmanFormat* format = find_pixman_format(layout.format());
    if (!format) return share::make_error(share::Code::unsupported, operation, "pixman has no such format");
    if (!layout.row_addressable())
        return share::make_error(share::Code::unsupported, operation,
                                 "tiled memory cannot be read by the CPU");
    if (layout.width() > largest || layout.height() > largest || layout.plane(0).stride > INT32_MAX)
        return share::make_error(share::Code::limit, operation, "pixman draws 1 to 32767 pixels a side");
    if (!buffer->memory()->traits().mappable)
        return share::make_error(share::Code::unsupported, operation, "the memory is for devices only");
    const bool odd = layout.plane(0).stride % 4 != 0 || (buffer->offset() + layout.plane(0).offset) % 4 != 0;
    share::Step step{"import",
                     share::Mechanism::map,
                     share::By::compositor,
                     0,
                     0,
                     dmabuf ? "pixman reads the dma-buf through a mapping"
                            : "pixman reads the client's memory in place"};
    auto content = std::make_shared<PixmanContent>(std::move(buffer), *format, std::move(step));
    if (odd)
        if (auto kept = content->keep_copy(); !kept) return std::move(kept).error();
    return std::shared_ptr<scene::Content>(std::move(content));
}

share::Result<void> lost_before() {
    return share::make_error(share::Code::corrupt, "drawing a client buffer",
                             "its file was truncated before");
}

PixmanContent& own(scene::Content& content) {
    auto* mine = dynamic_cast<PixmanContent*>(&content);
    assert(mine && "content of another renderer");
    return *mine;
}

share::Result<void> PixmanRenderer::refresh(scene::Content& content, const scene::Region& damage) {
    return own(content).refresh(damage);
}

share::Result<std::unique_ptr<Target>> PixmanRenderer::create_target(int width, int height) {
    auto target = PixmanTarget::create(width, height);
    if (!target) return std::move(target).error();
    return std::unique_ptr<Target>(std::move(*target));
}

void PixmanRenderer::draw(PixmanTarget& target, const scene::Item& item, const scene::Region& part,
                          scene::Drawn& drawn) {
    auto& content = own(*item.content);
    share::Result<void> read = content.lost() ? lost_before() : content.begin(drawn.steps);
    if (read) {
        read = paint(target, item, part, content);
        if (auto ended = content.end(); !ended) read = std::move(ended);
    }
    if (read) return drawn.steps.push_back(step_of(item, content, part.area() * 4));
    drawn.steps.push_back({"compose", share::Mechanism::map, share::By::compositor, 0, 0,
                           "the old pixels stay: " + read.error().text()});
    if (read.error().code != share::Code::corrupt) return drawn.undrawn.add(part);
    content.set_lost();
    drawn.lost.push_back(item.content);
}

share::Result<void> PixmanRenderer::render(Target& target, const scene::Frame& frame, scene::Drawn& drawn) {
    auto& mine = dynamic_cast<PixmanTarget&>(target);
    for (const scene::Item& item : frame.items) {
        const scene::Region part = visible_part(item, mine.width(), mine.height());
        if (part.empty()) continue;
        if (item.content) {
            draw(mine, item, part, drawn);
        } else {
            fill(mine, item, part);
            drawn.steps.push_back({"compose", share::Mechanism::draw, share::By::compositor, 0, 0,
                                   fmt::format("pixman: {} pixels of one colour", part.area())});
        }
    }
    return {};
}

share::Result<void> PixmanRenderer::read(Target& target, std::span<std::byte> into, std::uint32_t stride) {
    auto& mine = dynamic_cast<PixmanTarget&>(target);
    const auto row = static_cast<std::size_t>(mine.stride());
    const auto rows = static_cast<std::size_t>(mine.height());
    if (stride < row || into.size() < (rows - 1) * stride + row)
        return share::make_error(share::Code::invalid_argument, "reading the output's picture",
                                 "no room for it");
    for (std::size_t y = 0; y < rows; ++y)
        std::memcpy(into.data() + y * stride, mine.pixels() + y * row, row);
    return {};
}

} // namespace

share::Result<std::unique_ptr<Renderer>> create_pixman_renderer() {
    auto renderer = std::make_unique<PixmanRenderer>();
    if (auto probed = renderer->probe(); !probed) return std::move(probed).error();
    return std::unique_ptr<Renderer>(std::move(renderer));
}

} // namespace compositor::render
