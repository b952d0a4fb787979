// SPDX-License-Identifier: MIT
#include "picture_window.hpp"

#include <algorithm>
#include <chrono>

#include "../stop.hpp"

namespace bridge {

using namespace std::chrono_literals;
using share::Deadline;
using share::Result;

namespace {
constexpr auto slice = 50ms;
constexpr auto patience = 5s;
} // namespace

bool PictureWindow::ended() const noexcept {
    return stop_requested() || window_->close_requested();
}

/// Calls a wait again and again until it has an answer, its patience is at an end or the program's is.
template<class F>
auto PictureWindow::patiently(F wait) -> decltype(wait(Deadline::none())) {
    const auto end = Deadline::in(patience);
    for (;;) {
        auto result = wait(Deadline::in(slice));
        if (result || result.error().code != share::Code::timed_out || ended() || end.passed()) return result;
    }
}

Result<std::unique_ptr<PictureWindow>>
PictureWindow::open(const Options& options, const share::SourceInfo& first, share::Ledger& ledger) {
    std::unique_ptr<PictureWindow> self(new PictureWindow(options, ledger));
    auto connection = share::x11::Connection::open(options.display, Deadline::in(patience));
    if (!connection) return std::move(connection).error();
    self->connection_ = std::move(*connection);
    share::x11::WindowOptions wanted;
    wanted.title = first.name;
    wanted.app_class = "xshm-bridge";
    wanted.width = std::min<std::uint32_t>(first.width, self->connection_->screen().width_in_pixels);
    wanted.height = std::min<std::uint32_t>(first.height, self->connection_->screen().height_in_pixels);
    wanted.fullscreen = options.fullscreen;
    auto window = share::x11::Window::create(self->connection_, wanted, Deadline::in(patience));
    if (!window) return std::move(window).error();
    self->window_ = std::move(*window);
    if (auto ok = self->window_->wait_mapped(Deadline::in(patience)); !ok) return std::move(ok).error();
    (void)self->window_->take_exposed();
    return self;
}

/// A swapchain for pictures like this one: kept while size and formats stay the same.
Result<void> PictureWindow::fit(const share::SourceInfo& info) {
    if (swapchain_ && swapchain_->layout().width() == info.width &&
        swapchain_->layout().height() == info.height && formats_ == info.formats)
        return {};
    share::x11::SwapchainOptions wanted;
    wanted.width = info.width;
    wanted.height = info.height;
    wanted.formats = info.formats;
    wanted.path = options_.path;
    swapchain_.reset();
    auto made = share::x11::X11Swapchain::create(connection_, window_->id(), heaps_, ledger_, wanted,
                                                 Deadline::in(patience));
    if (!made) return std::move(made).error();
    swapchain_ = std::move(*made);
    formats_ = info.formats;
    place();
    return {};
}

/// Centres the picture and clears what it does not cover.
void PictureWindow::place() {
    const auto width = static_cast<std::int32_t>(window_->width()),
               height = static_cast<std::int32_t>(window_->height());
    const auto w = static_cast<std::int32_t>(swapchain_->layout().width());
    const auto h = static_cast<std::int32_t>(swapchain_->layout().height());
    const auto x = (width - w) / 2, y = (height - h) / 2;
    swapchain_->set_position(x, y);
    swapchain_->set_window_size(window_->width(), window_->height());
    const auto clear = [&](std::int32_t left, std::int32_t top, std::int32_t right, std::int32_t bottom) {
        // A width or height of 0 would mean "up to the window's edge".
        if (right <= left || bottom <= top) return;
        xcb_clear_area(connection_->xcb(), 0, window_->id(), static_cast<std::int16_t>(left),
                       static_cast<std::int16_t>(top), static_cast<std::uint16_t>(right - left),
                       static_cast<std::uint16_t>(bottom - top));
    };
    clear(0, 0, width, y);
    clear(0, y + h, width, height);
    clear(0, std::max(y, 0), x, std::min(y + h, height));
    clear(x + w, std::max(y, 0), width, std::min(y + h, height));
}

Result<void> PictureWindow::after_events() {
    if (!swapchain_) return {};
    if (window_->take_resized()) place();
    for (const auto& area : window_->take_exposed())
        if (auto ok = swapchain_->repaint(area); !ok) return ok;
    return {};
}

Result<void> PictureWindow::show(share::Source& source) {
    if (auto ok = fit(source.info()); !ok) return ok;
    auto image = patiently([this](Deadline deadline) { return swapchain_->acquire(deadline); });
    if (!image) return std::move(image).error();
    if (auto ok = after_events(); !ok) return ok;
    share::FrameRecord record;
    record.stream = source.info().name;
    record.frame = ++frames_;
    const auto decode = [&]() -> Result<void> {
        auto mapping = image->buffer->map(share::Access::write, Deadline::in(patience));
        if (!mapping) return std::move(mapping).error();
        if (auto ok = source.read(*mapping, record); !ok) return ok;
        return mapping->end();
    };
    if (auto ok = decode(); !ok) {
        swapchain_->discard(std::move(*image));
        return ok;
    }
    return swapchain_->present(std::move(*image), {}, std::move(record));
}

Result<void> PictureWindow::serve(Deadline until) {
    while (!ended() && !until.passed()) {
        const auto next = std::min(until.when(), Deadline::in(slice).when());
        auto served = connection_->wait_event(Deadline(next));
        if (!served && served.error().code != share::Code::timed_out) return served;
        if (auto ok = after_events(); !ok) return ok;
    }
    return {};
}

Result<void> PictureWindow::wait_paced() {
    auto ok = patiently([this](Deadline deadline) { return swapchain_->wait_paced(deadline); });
    return ok ? after_events() : ok;
}

Result<void> PictureWindow::wait_shown() {
    return patiently([this](Deadline deadline) { return swapchain_->wait_shown(deadline); });
}

} // namespace bridge
