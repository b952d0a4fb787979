// SPDX-License-Identifier: MIT
#include "backend/headless.hpp"

#include <fmt/format.h>

#include "backend/picture.hpp"
#include "backend/repaint_clock.hpp"

namespace compositor::backend {

struct HeadlessOutput::Impl final : RepaintClock::Listener {
    Impl(wl_event_loop* on, render::Renderer& with, int mhz, Painter& by)
        : loop(on), renderer(with), painter(by), refresh_mhz(mhz) {}
    ~Impl() override {
        if (report_source) wl_event_source_remove(report_source);
    }

    scene::Rect whole() const { return {0, 0, target->width(), target->height()}; }
    void tick(std::timespec when) override;
    bool show_directly(const scene::Frame& frame);
    share::Result<void> draw(const scene::Frame& frame);
    share::Result<void> catch_up(const scene::Frame& frame);
    void report();
    static void on_report(void* data);

    wl_event_loop* loop;
    render::Renderer& renderer;
    Painter& painter;
    int refresh_mhz;
    std::unique_ptr<render::Target> target;
    std::unique_ptr<RepaintClock> clock;
    scene::Region missing;

    std::shared_ptr<scene::Content> direct; ///< shown as it is; null: the target is shown
    share::Attachment direct_hold;

    bool in_tick = false;
    bool committed = false; ///< a Presented waits to be delivered
    Presented presented;
    std::uint64_t sequence = 0;
    wl_event_source* report_source = nullptr;
};

void HeadlessOutput::Impl::tick(std::timespec) {
    in_tick = true;
    painter.repaint();
    in_tick = false;
    report();
}

bool HeadlessOutput::Impl::show_directly(const scene::Frame& frame) {
    const auto& content = frame.direct;
    if (!content || content->width() != target->width() || content->height() != target->height())
        return false;
    if (!can_scan_out(*content->buffer())) return false;
    if (content != direct) {
        auto hold =
            content->buffer()->attach(share::Access::read, "the headless output", share::Deadline::none());
        if (!hold) return false; // somebody writes it now: draw what can be drawn
        direct_hold = std::move(*hold);
        direct = content;
    }
    missing.add(frame.damage);
    presented.zero_copy = true;
    presented.steps.push_back({"present", share::Mechanism::scanout, share::By::compositor, 0, 0,
                               "one opaque buffer covers the output: it is the picture"});
    return true;
}

// The frame's damage counts from the picture shown last. Where the target never got that picture and the
// frame does not draw, it is taken from the buffer that was shown.
share::Result<void> HeadlessOutput::Impl::catch_up(const scene::Frame& frame) {
    missing.subtract(frame.damage); // drawn in any case
    if (missing.empty() || !direct) return {};
    scene::Item item;
    item.content = direct;
    item.source = {0, 0, static_cast<double>(direct->width()), static_cast<double>(direct->height())};
    item.dest = whole();
    item.clip = missing;
    scene::Frame before;
    before.width = frame.width;
    before.height = frame.height;
    before.damage = missing;
    before.items.push_back(std::move(item));
    return renderer.render(*target, before, presented);
}

share::Result<void> HeadlessOutput::Impl::draw(const scene::Frame& frame) {
    auto caught_up = catch_up(frame);
    missing.clear();
    direct.reset();
    direct_hold.release();
    if (!caught_up) return caught_up;
    return renderer.render(*target, frame, presented);
}

void HeadlessOutput::Impl::report() {
    if (!committed) return;
    committed = false;
    const Presented done = std::exchange(presented, {});
    painter.presented(done);
}

void HeadlessOutput::Impl::on_report(void* data) {
    auto* self = static_cast<Impl*>(data);
    self->report_source = nullptr;
    self->report();
}

HeadlessOutput::HeadlessOutput() = default;
HeadlessOutput::~HeadlessOutput() = default;

share::Result<std::unique_ptr<HeadlessOutput>> HeadlessOutput::create(wl_event_loop* loop,
                                                                      render::Renderer& renderer, int width,
                                                                      int height, int refresh_mhz,
                                                                      Painter& painter) {
    if (width <= 0 || height <= 0 || refresh_mhz < 0)
        return share::make_error(share::Code::invalid_argument, "making a headless output",
                                 fmt::format("{}x{} at {} mHz is no mode", width, height, refresh_mhz));
    std::unique_ptr<HeadlessOutput> output(new HeadlessOutput);
    output->impl_ = std::make_unique<Impl>(loop, renderer, refresh_mhz, painter);
    auto target = renderer.create_target(width, height);
    if (!target) return std::move(target).error();
    output->impl_->target = std::move(*target);
    auto clock = RepaintClock::create(loop, refresh_mhz, *output->impl_);
    if (!clock) return std::move(clock).error();
    output->impl_->clock = std::move(*clock);
    return output;
}

int HeadlessOutput::width() const noexcept {
    return impl_->target->width();
}
int HeadlessOutput::height() const noexcept {
    return impl_->target->height();
}
int HeadlessOutput::refresh_mhz() const noexcept {
    return impl_->refresh_mhz;
}

void HeadlessOutput::schedule_repaint() {
    impl_->clock->request();
}

share::Result<void> HeadlessOutput::commit(const scene::Frame& frame) {
    Impl& self = *impl_;
    if (!self.show_directly(frame))
        if (auto drawn = self.draw(frame); !drawn) {
            self.presented = {};
            return drawn;
        }
    clock_gettime(CLOCK_MONOTONIC, &self.presented.when);
    self.presented.refresh_ns = self.clock->period_ns();
    self.presented.sequence = ++self.sequence;
    self.committed = true;
    if (!self.in_tick && !self.report_source)
        self.report_source = wl_event_loop_add_idle(self.loop, Impl::on_report, &self);
    return {};
}

share::Result<std::vector<std::uint32_t>> HeadlessOutput::picture() {
    Impl& self = *impl_;
    if (self.direct) return read_picture(self.direct->buffer());
    std::vector<std::uint32_t> pixels(static_cast<std::size_t>(width()) * static_cast<std::size_t>(height()));
    auto read = self.renderer.read(*self.target, std::as_writable_bytes(std::span(pixels)),
                                   static_cast<std::uint32_t>(width()) * 4);
    if (!read) return std::move(read).error();
    return pixels;
}

} // namespace compositor::backend
