// SPDX-License-Identifier: MIT
// The window on X11: libshare-x11's own top-level window. X has no scaler that reads our memory, so pictures
// keep their size: centred, and cropped by the window where they are larger.
#include "window.hpp"

#include <poll.h>

#include <limits>
#include <vector>

#include <fmt/format.h>

#include <share/x11/swapchain.hpp>
#include <share/x11/window.hpp>

namespace producer {

namespace {

using share::Deadline;
using share::Result;
namespace x11 = share::x11;

share::Error no_foreign_buffers() {
    return share::make_error(share::Code::unsupported, "showing a camera on X11",
                             "an X11 window has a swapchain's buffers only; use --display=wayland");
}

class X11Window final : public Window {
public:
    X11Window(const Stage& stage, std::shared_ptr<x11::Connection> connection)
        : stage_(stage), connection_(std::move(connection)) {}

    Result<void> open(const share::SourceInfo& first, Deadline deadline);
    Result<share::Swapchain*> swapchain_for(const share::SourceInfo& info, Deadline deadline) override;
    Result<void> prepare_present() override;
    Result<void> serve(Deadline deadline, std::span<const int> wake_fds) override;
    bool takes(share::Fourcc) const override { return false; }
    Result<void> present(const std::shared_ptr<share::Buffer>&, share::FrameRecord, Deadline) override {
        return no_foreign_buffers();
    }
    Result<void> wait_shown(Deadline) override { return no_foreign_buffers(); }
    bool closed() const noexcept override { return window_->close_requested(); }

private:
    Result<void> react();

    const Stage& stage_;
    std::shared_ptr<x11::Connection> connection_;
    std::unique_ptr<x11::Window> window_;
    std::unique_ptr<x11::X11Swapchain> swapchain_;
};

/// What the heap names of the command line are worth on X11: the path that such memory takes.
Result<x11::Path> path_of_heap(const std::string& heap) {
    if (heap.empty()) return x11::Path::automatic;
    if (heap == "memfd" || heap == "udmabuf") return x11::Path::fd;
    if (heap == "sysv") return x11::Path::sysv;
    return share::make_error(share::Code::unsupported,
                             fmt::format("taking memory of heap '{}' for X11", heap),
                             "X11 takes memfd, udmabuf or sysv");
}

Result<void> X11Window::open(const share::SourceInfo& first, Deadline deadline) {
    x11::WindowOptions options;
    options.title = first.name;
    options.app_class = "share-producer";
    options.fullscreen = stage_.options.fullscreen;
    const auto& screen = connection_->screen();
    options.width = std::min<std::uint32_t>(first.width, screen.width_in_pixels);
    options.height = std::min<std::uint32_t>(first.height, screen.height_in_pixels);
    if (stage_.options.size) {
        options.width = stage_.options.size->width;
        options.height = stage_.options.size->height;
    }
    auto window = x11::Window::create(connection_, options, deadline);
    if (!window) return std::move(window).error();
    window_ = *std::move(window);
    return window_->wait_mapped(deadline);
}

Result<share::Swapchain*> X11Window::swapchain_for(const share::SourceInfo& info, Deadline deadline) {
    if (swapchain_ && swapchain_->layout().width() == info.width &&
        swapchain_->layout().height() == info.height)
        return swapchain_.get();
    auto path = path_of_heap(stage_.options.heap);
    if (!path) return std::move(path).error();
    x11::SwapchainOptions options;
    options.width = info.width;
    options.height = info.height;
    options.path = *path;
    auto made =
        x11::X11Swapchain::create(connection_, window_->id(), stage_.heaps, stage_.ledger, options, deadline);
    if (!made) return std::move(made).error();
    swapchain_ = *std::move(made);
    if (info.width != window_->width() || info.height != window_->height())
        stage_.ledger.note("scale",
                           fmt::format("X11 shows {}x{} unscaled in a window of {}x{}: centred, cropped "
                                       "where it is larger",
                                       info.width, info.height, window_->width(), window_->height()));
    return swapchain_.get();
}

Result<void> X11Window::prepare_present() {
    const auto middle = [](std::uint32_t room, std::uint32_t used) {
        return (static_cast<std::int32_t>(room) - static_cast<std::int32_t>(used)) / 2;
    };
    const auto& layout = swapchain_->layout();
    swapchain_->set_position(middle(window_->width(), layout.width()),
                             middle(window_->height(), layout.height()));
    swapchain_->set_window_size(window_->width(), window_->height());
    return {};
}

Result<void> X11Window::react() {
    if (!swapchain_) return {};
    const share::Rect all{0, 0, static_cast<std::int32_t>(window_->width()),
                          static_cast<std::int32_t>(window_->height())};
    if (window_->take_resized()) {
        if (auto placed = prepare_present(); !placed) return placed;
        if (auto painted = swapchain_->repaint(all); !painted) return painted;
    }
    for (const auto& rect : window_->take_exposed())
        if (auto painted = swapchain_->repaint(rect); !painted) return painted;
    return {};
}

Result<void> X11Window::serve(Deadline deadline, std::span<const int> wake_fds) {
    // What libxcb has read already does not make the fd readable again: hand it out first.
    if (auto done = connection_->dispatch(deadline); !done) return done;
    if (auto done = react(); !done) return done;
    if (closed()) return {};
    std::vector<pollfd> polled{{connection_->fd(), POLLIN, 0}};
    for (const int fd : wake_fds)
        polled.push_back({fd, POLLIN, 0});
    poll(polled.data(), polled.size(), deadline.remaining_ms());
    if (polled[0].revents == 0) return {};
    if (auto done = connection_->dispatch(Deadline::in(std::chrono::seconds(5))); !done) return done;
    return react();
}

} // namespace

Result<std::unique_ptr<Window>> open_x11_window(const Stage& stage, const share::SourceInfo& first,
                                                Deadline deadline) {
    auto connection = x11::Connection::open("", deadline);
    if (!connection) return std::move(connection).error();
    auto window = std::make_unique<X11Window>(stage, *std::move(connection));
    if (auto opened = window->open(first, deadline); !opened) return std::move(opened).error();
    return std::unique_ptr<Window>(std::move(window));
}

} // namespace producer
