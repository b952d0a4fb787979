// SPDX-License-Identifier: MIT
#include "render/gl_renderer.hpp"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "render/client_memory.hpp"
#include "render/geometry.hpp"
#include "render/gl_content.hpp"
#include "render/gl_programs.hpp"
#include "render/gl_target.hpp"
#include "render/probe.hpp"

namespace compositor::render {

namespace {

// Keeps client memory readable until GL has finished.
struct InUse {
    std::optional<share::Mapping> mapping; ///< a dma-buf that the CPU draws from: bracketed
    share::Attachment attachment;
};

class GlRenderer final : public Renderer {
public:
    explicit GlRenderer(DisplayPtr display) : display_(std::move(display)), programs_(display_) {}
    ~GlRenderer() override {
        if (!display_->make_current()) return;
        glFinish();
    }
    share::Result<void> probe();

    std::string_view name() const noexcept override { return "gl"; }
    std::string describe() const override {
        return fmt::format("gl ({}, {}, {})", display_->driver(), display_->version(),
                           display_->is_software() ? "software" : display_->platform());
    }
    std::span<const share::Fourcc> shm_formats() const override { return shm_formats_; }
    std::span<const share::FormatModifier> dmabuf_formats() const override { return dmabuf_formats_; }
    bool accepts_memfd_as_dmabuf() const override { return display_->is_software(); }
    std::uint64_t main_device() const override { return display_->main_device(); }
    share::Result<std::shared_ptr<scene::Content>> import(std::shared_ptr<share::Buffer> buffer,
                                                          bool dmabuf) override;
    share::Result<void> refresh(scene::Content& content, const scene::Region& damage) override;
    share::Result<std::unique_ptr<Target>> create_target(int width, int height) override;
    share::Result<void> render(Target& target, const scene::Frame& frame, scene::Drawn& drawn) override;
    share::Result<void> read(Target& target, std::span<std::byte> into, std::uint32_t stride) override;

private:
    bool external_only(share::Fourcc format, std::uint64_t modifier) const;
    void probe_dmabuf_formats(Target& target, share::Heap* stand_in);
    share::Result<share::Step> draw(GlTarget& target, const scene::Item& item, const scene::Region& part,
                                    std::vector<share::Step>& steps);
    share::Result<void> hold(const std::shared_ptr<share::Buffer>& buffer);
    void blit(const GlTarget& target, const GlFramebuffer& source, const Placement& placement,
              const scene::Region& part);
    void quads(const GlTarget& target, const scene::Item& item, const scene::Region& part);

    DisplayPtr display_;
    GlPrograms programs_;
    std::vector<share::egl::AdvertisedFormat> advertised_;
    std::vector<share::Fourcc> shm_formats_;
    std::vector<share::FormatModifier> dmabuf_formats_;
    std::vector<float> vertices_; ///< reused
    std::vector<InUse> in_use_;
};

bool linear(std::uint64_t modifier) {
    return modifier == share::modifier::linear || modifier == share::modifier::none;
}

bool GlRenderer::external_only(share::Fourcc format, std::uint64_t modifier) const {
    for (const auto& pair : advertised_)
        if (pair.format == format &&
            (pair.modifier == modifier || (linear(pair.modifier) && linear(modifier))))
            return pair.external_only;
    return false;
}

share::Result<void> GlRenderer::probe() {
    advertised_ = display_->advertised_formats();
    auto heaps = share::HeapTable::probe();
    auto heap = heaps.find("memfd");
    if (!heap) return std::move(heap).error();
    auto target = create_target(probe_size, probe_size);
    if (!target) return std::move(target).error();
    for (const auto& info : share::known_formats()) {
        if (!can_probe(info.code)) continue;
        auto good = probe_format(*this, **target, **heap, info.code, share::modifier::linear, false);
        if (good)
            shm_formats_.push_back(info.code);
        else if (info.code == share::format::xrgb8888)
            return good;
    }
    auto device_heap = heaps.find("udmabuf");
    probe_dmabuf_formats(**target, display_->is_software() ? *heap : device_heap ? *device_heap : nullptr);
    return {};
}

// A linear pair is tried with memory that stands for a dma-buf here; without such memory, and for tilings,
// the driver's word is passed on.
void GlRenderer::probe_dmabuf_formats(Target& target, share::Heap* stand_in) {
    const auto offer = [&](share::Fourcc format, std::uint64_t modifier) {
        const share::FormatModifier pair{format, modifier};
        if (std::ranges::find(dmabuf_formats_, pair) == dmabuf_formats_.end())
            dmabuf_formats_.push_back(pair);
    };
    for (const auto& pair : advertised_) {
        if (!share::find_format(pair.format)) continue;
        if (!linear(pair.modifier) || !stand_in) {
            offer(pair.format, pair.modifier);
            continue;
        }
        if (!can_probe(pair.format)) continue;
        for (const auto modifier : {share::modifier::linear, share::modifier::none})
            if (probe_format(*this, target, *stand_in, pair.format, modifier, true))
                offer(pair.format, modifier);
    }
}

share::Result<std::shared_ptr<scene::Content>> GlRenderer::import(std::shared_ptr<share::Buffer> buffer,
                                                                  bool dmabuf) {
    if (auto current = display_->make_current(); !current) return std::move(current).error();
    const auto& layout = buffer->layout();
    const bool external = external_only(layout.format(), layout.modifier());
    auto content = GlContent::create(display_, std::move(buffer), dmabuf, external);
    if (!content) return std::move(content).error();
    return std::shared_ptr<scene::Content>(std::move(*content));
}

share::Result<share::Step> lost_before() {
    return share::make_error(share::Code::corrupt, "drawing a client buffer",
                             "its file was truncated before");
}

share::Step old_pixels_stay(const share::Error& error) {
    return {"compose",
            share::Mechanism::draw,
            share::By::compositor,
            0,
            0,
            "the old pixels stay: " + error.text()};
}

GlContent& own(scene::Content& content) {
    auto* mine = dynamic_cast<GlContent*>(&content);
    assert(mine && "content of another renderer");
    return *mine;
}

share::Result<void> GlRenderer::refresh(scene::Content& content, const scene::Region& damage) {
    return own(content).refresh(damage);
}

share::Result<std::unique_ptr<Target>> GlRenderer::create_target(int width, int height) {
    if (auto current = display_->make_current(); !current) return std::move(current).error();
    auto target = GlTarget::create(display_, width, height);
    if (!target) return std::move(target).error();
    return std::unique_ptr<Target>(std::move(*target));
}

share::Result<void> GlRenderer::hold(const std::shared_ptr<share::Buffer>& buffer) {
    InUse use;
    if (display_->is_software() && buffer->memory()->traits().kind == share::MemoryKind::dmabuf) {
        auto mapping = buffer->map(share::Access::read, reading_deadline());
        if (!mapping) return std::move(mapping).error();
        use.mapping.emplace(std::move(*mapping));
    } else {
        auto attachment = buffer->attach(share::Access::read, "the gl renderer", share::Deadline::none());
        if (!attachment) return std::move(attachment).error();
        use.attachment = std::move(*attachment);
    }
    in_use_.push_back(std::move(use));
    return {};
}

// Damage as rectangles of the blit: a scissor makes llvmpipe draw it as a quad, ten times slower.
void GlRenderer::blit(const GlTarget& target, const GlFramebuffer& source, const Placement& placement,
                      const scene::Region& part) {
    glDisable(GL_SCISSOR_TEST);
    glBindFramebuffer(GL_READ_FRAMEBUFFER, source.name());
    glBindFramebuffer(GL_DRAW_FRAMEBUFFER, target.framebuffer().name());
    for (const auto& b : part.boxes())
        glBlitFramebuffer(b.x1 + placement.dx, b.y1 + placement.dy, b.x2 + placement.dx, b.y2 + placement.dy,
                          b.x1, b.y1, b.x2, b.y2, GL_COLOR_BUFFER_BIT, GL_NEAREST);
}

// Two triangles a rectangle; the first row of the output is GL's row 0, so nothing is flipped.
void GlRenderer::quads(const GlTarget& target, const scene::Item& item, const scene::Region& part) {
    const Affine m = output_to_buffer(item);
    const double width = item.content ? item.content->width() : 1,
                 height = item.content ? item.content->height() : 1;
    const auto corner = [&](int x, int y) {
        vertices_.push_back(static_cast<float>(2.0 * x / target.width() - 1));
        vertices_.push_back(static_cast<float>(2.0 * y / target.height() - 1));
        vertices_.push_back(static_cast<float>((m.xx * x + m.xy * y + m.x0) / width));
        vertices_.push_back(static_cast<float>((m.yx * x + m.yy * y + m.y0) / height));
    };
    vertices_.clear();
    for (const auto& b : part.boxes()) {
        corner(b.x1, b.y1);
        corner(b.x2, b.y1);
        corner(b.x1, b.y2);
        corner(b.x1, b.y2);
        corner(b.x2, b.y1);
        corner(b.x2, b.y2);
    }
    glBindFramebuffer(GL_FRAMEBUFFER, target.framebuffer().name());
    glViewport(0, 0, target.width(), target.height());
    glDisable(GL_SCISSOR_TEST);
    if (item.blend)
        glEnable(GL_BLEND);
    else
        glDisable(GL_BLEND);
    glBlendFunc(GL_ONE, GL_ONE_MINUS_SRC_ALPHA);
    glEnableVertexAttribArray(0);
    glEnableVertexAttribArray(1);
    constexpr GLsizei stride = 4 * sizeof(float);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, stride, vertices_.data());
    glVertexAttribPointer(1, 2, GL_FLOAT, GL_FALSE, stride, vertices_.data() + 2);
    glDrawArrays(GL_TRIANGLES, 0, static_cast<GLsizei>(vertices_.size() / 4));
}

share::Result<share::Step> GlRenderer::draw(GlTarget& target, const scene::Item& item,
                                            const scene::Region& part, std::vector<share::Step>& steps) {
    auto& content = own(*item.content);
    const std::uint64_t bytes = part.area() * 4;
    const Placement placement = place(item);
    if (auto ready = content.uploaded() ? content.update(steps) : hold(content.buffer()); !ready)
        return std::move(ready).error();
    if (placement.one_to_one && !item.blend && (target.in_memory() || !display_->is_software())) {
        if (const GlFramebuffer* source = content.blit_source()) {
            blit(target, *source, placement, part);
            return share::Step{"compose", share::Mechanism::blit,  share::By::compositor, bytes,
                               0,         "gl: one to one, opaque"};
        }
    }
    if (auto used = programs_.use(content, placement.nearest); !used) return std::move(used).error();
    quads(target, item, part);
    const bool yuv = content.sampling() != Sampling::rgb;
    return share::Step{"compose",
                       share::Mechanism::draw,
                       share::By::compositor,
                       yuv ? 0 : bytes,
                       yuv ? bytes : 0,
                       yuv ? "gl: converted from " + share::fourcc_text(content.buffer()->layout().format())
                           : std::string(item.blend ? "gl: blended" : "gl: sampled as textured quad")};
}

share::Result<void> GlRenderer::render(Target& target, const scene::Frame& frame, scene::Drawn& drawn) {
    if (auto current = display_->make_current(); !current) return current;
    auto& mine = dynamic_cast<GlTarget&>(target);
    for (const scene::Item& item : frame.items) {
        const scene::Region part = visible_part(item, mine.width(), mine.height());
        if (part.empty()) continue;
        if (!item.content) {
            if (auto used = programs_.use_color(item.color); !used) return used;
            quads(mine, item, part);
            drawn.steps.push_back({"compose", share::Mechanism::draw, share::By::compositor, 0, 0,
                                   fmt::format("gl: {} pixels of one colour", part.area())});
            continue;
        }
        auto step = own(*item.content).lost() ? lost_before() : draw(mine, item, part, drawn.steps);
        drawn.steps.push_back(step ? std::move(*step) : old_pixels_stay(step.error()));
        if (step) continue;
        if (own(*item.content).lost())
            drawn.lost.push_back(item.content);
        else
            drawn.undrawn.add(part);
    }
    glFinish(); // client memory is the client's again, and the picture is there to be read
    in_use_.clear();
    return {};
}

share::Result<void> GlRenderer::read(Target& target, std::span<std::byte> into, std::uint32_t stride) {
    if (auto current = display_->make_current(); !current) return current;
    return dynamic_cast<GlTarget&>(target).read(into, stride);
}

} // namespace

share::Result<std::unique_ptr<Renderer>> create_gl_renderer(bool hardware_only) {
    auto display = share::egl::Display::open();
    if (!display) return std::move(display).error();
    if (hardware_only && (*display)->is_software())
        return share::make_error(share::Code::unavailable, "starting the gl renderer",
                                 fmt::format("only a software driver is there ({})", (*display)->driver()));
    auto renderer = std::make_unique<GlRenderer>(std::move(*display));
    if (auto probed = renderer->probe(); !probed) return std::move(probed).error();
    return std::unique_ptr<Renderer>(std::move(renderer));
}

} // namespace compositor::render
