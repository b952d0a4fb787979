// SPDX-License-Identifier: MIT
// The window on Wayland: an xdg_toplevel whose one surface is the picture. Its shape is the picture's:
// scaling is left to the compositor (wp_viewport), and so are the bars beside a fullscreen picture, as
// xdg-shell says. A maximized window must have exactly the size that it is told, so the picture's edges are
// cropped.
#include "window.hpp"

#include <vector>

#include <fmt/format.h>

#include <share/wayland_client/presenter.hpp>
#include <share/wayland_client/swapchain.hpp>

#include "fit.hpp"
#include "keyboard_wayland.hpp"
#include "viewporter-client.h"
#include "xdg-shell-client.h"

namespace producer {

namespace {

using share::Deadline;
using share::Result;
namespace wl = share::wayland_client;

/// The protocol objects, destroyed in the order that their interfaces ask for.
struct Objects {
    wl_compositor* compositor = nullptr;
    xdg_wm_base* shell = nullptr;
    wp_viewporter* viewporter = nullptr;
    wl_surface* surface = nullptr;
    wp_viewport* viewport = nullptr;
    xdg_surface* shell_surface = nullptr;
    xdg_toplevel* toplevel = nullptr;

    Objects() = default;
    Objects(const Objects&) = delete;
    Objects& operator=(const Objects&) = delete;
    ~Objects() {
        if (toplevel) xdg_toplevel_destroy(toplevel);
        if (shell_surface) xdg_surface_destroy(shell_surface);
        if (viewport) wp_viewport_destroy(viewport);
        if (surface) wl_surface_destroy(surface);
        if (viewporter) wp_viewporter_destroy(viewporter);
        if (shell) xdg_wm_base_destroy(shell);
        if (compositor) wl_compositor_destroy(compositor);
    }
};

struct Configured {
    Size size;   ///< 0x0: ours to choose
    Size bounds; ///< 0x0: not known
    bool fullscreen = false;
    bool exact = false; ///< maximized or tiled: not a pixel less
};

class WaylandWindow final : public Window {
public:
    WaylandWindow(const Stage& stage, std::unique_ptr<wl::Display> display)
        : stage_(stage), display_(std::move(display)) {}

    Result<void> open(const share::SourceInfo& first, Deadline deadline);
    Result<share::Swapchain*> swapchain_for(const share::SourceInfo& info, Deadline deadline) override;
    Result<void> prepare_present() override;
    Result<void> serve(Deadline deadline, std::span<const int> wake_fds) override;
    bool takes(share::Fourcc format) const override { return presenter_ && presenter_->lists(format); }
    Result<void> present(const std::shared_ptr<share::Buffer>& buffer, share::FrameRecord record,
                         Deadline deadline) override;
    Result<void> wait_shown(Deadline deadline) override { return presenter_->wait_shown(deadline); }
    bool closed() const noexcept override { return closed_ || (keyboard_ && keyboard_->quit()); }

private:
    static const xdg_wm_base_listener shell_listener;
    static const xdg_surface_listener surface_listener;
    static const xdg_toplevel_listener toplevel_listener;
    void toplevel_configure(Size size, const wl_array& states);
    Size wanted_box(Size picture) const;
    void note_scaling(Size picture, Size shown);
    void place_exactly(Size picture, Size box);

    const Stage& stage_;
    std::unique_ptr<wl::Display> display_;
    Objects objects_;
    std::unique_ptr<Keyboard> keyboard_;
    std::unique_ptr<wl::WaylandSwapchain> swapchain_;
    std::unique_ptr<wl::Presenter> presenter_; ///< of a camera's frames
    Size picture_;                             ///< what is shown, or will be next
    std::vector<share::Fourcc> formats_;       ///< that the swapchain was made for
    Configured pending_, configured_;
    bool configured_once_ = false;
    bool dirty_ = false;  ///< a configure came that the surface does not show yet
    bool mapped_ = false; ///< a frame was presented
    bool closed_ = false;
    Size scaled_to_;
};

const xdg_wm_base_listener WaylandWindow::shell_listener = {
    .ping = [](void*, xdg_wm_base* shell, std::uint32_t serial) noexcept { xdg_wm_base_pong(shell, serial); },
};

const xdg_surface_listener WaylandWindow::surface_listener = {
    .configure =
        [](void* self, xdg_surface* surface, std::uint32_t serial) noexcept {
            auto& me = *static_cast<WaylandWindow*>(self);
            xdg_surface_ack_configure(surface, serial);
            me.configured_ = me.pending_;
            me.configured_once_ = true;
            me.dirty_ = true;
        },
};

const xdg_toplevel_listener WaylandWindow::toplevel_listener = {
    .configure =
        [](void* self, xdg_toplevel*, std::int32_t width, std::int32_t height, wl_array* states) noexcept {
            const Size size{static_cast<std::uint32_t>(std::max(width, 0)),
                            static_cast<std::uint32_t>(std::max(height, 0))};
            static_cast<WaylandWindow*>(self)->toplevel_configure(size, *states);
        },
    .close = [](void* self, xdg_toplevel*) noexcept { static_cast<WaylandWindow*>(self)->closed_ = true; },
    .configure_bounds =
        [](void* self, xdg_toplevel*, std::int32_t width, std::int32_t height) noexcept {
            static_cast<WaylandWindow*>(self)->pending_.bounds = {
                static_cast<std::uint32_t>(std::max(width, 0)),
                static_cast<std::uint32_t>(std::max(height, 0))};
        },
    .wm_capabilities = [](void*, xdg_toplevel*, wl_array*) noexcept {},
};

void WaylandWindow::toplevel_configure(Size size, const wl_array& states) {
    pending_.size = size.width > 0 && size.height > 0 ? size : Size{};
    pending_.fullscreen = pending_.exact = false;
    const auto* state = static_cast<const std::uint32_t*>(states.data);
    for (std::size_t i = 0; i < states.size / sizeof *state; ++i) {
        if (state[i] == XDG_TOPLEVEL_STATE_FULLSCREEN) pending_.fullscreen = true;
        if (state[i] == XDG_TOPLEVEL_STATE_MAXIMIZED) pending_.exact = true;
        if (state[i] >= XDG_TOPLEVEL_STATE_TILED_LEFT && state[i] <= XDG_TOPLEVEL_STATE_TILED_BOTTOM)
            pending_.exact = true;
    }
}

Result<void> WaylandWindow::open(const share::SourceInfo& first, Deadline deadline) {
    const char* const operation = "opening a window on Wayland";
    auto& d = *display_;
    objects_.compositor = static_cast<wl_compositor*>(d.bind(&wl_compositor_interface, 4));
    objects_.shell = static_cast<xdg_wm_base*>(d.bind(&xdg_wm_base_interface, 5));
    if (!objects_.compositor || !objects_.shell)
        return share::make_error(share::Code::unsupported, operation, "the compositor has no xdg_wm_base");
    xdg_wm_base_add_listener(objects_.shell, &shell_listener, this);
    keyboard_ = std::make_unique<Keyboard>(static_cast<wl_seat*>(d.bind(&wl_seat_interface, 5)));
    objects_.surface = wl_compositor_create_surface(objects_.compositor);
    objects_.viewporter = static_cast<wp_viewporter*>(d.bind(&wp_viewporter_interface, 1));
    if (objects_.viewporter)
        objects_.viewport = wp_viewporter_get_viewport(objects_.viewporter, objects_.surface);
    else
        stage_.ledger.note("scale", "the compositor has no wp_viewporter: pictures keep their own size");
    objects_.shell_surface = xdg_wm_base_get_xdg_surface(objects_.shell, objects_.surface);
    xdg_surface_add_listener(objects_.shell_surface, &surface_listener, this);
    objects_.toplevel = xdg_surface_get_toplevel(objects_.shell_surface);
    xdg_toplevel_add_listener(objects_.toplevel, &toplevel_listener, this);
    xdg_toplevel_set_app_id(objects_.toplevel, "share-producer");
    xdg_toplevel_set_title(objects_.toplevel, first.name.c_str());
    if (stage_.options.fullscreen) xdg_toplevel_set_fullscreen(objects_.toplevel, nullptr);
    wl_surface_commit(objects_.surface);
    if (auto configured = d.wait_until([this] { return configured_once_; }, deadline); !configured)
        return configured;
    if (!stage_.options.camera) return {};
    auto presenter = wl::Presenter::create(d, objects_.surface, stage_.ledger, deadline);
    if (!presenter) return std::move(presenter).error();
    presenter_ = *std::move(presenter);
    return {};
}

Result<share::Swapchain*> WaylandWindow::swapchain_for(const share::SourceInfo& info, Deadline deadline) {
    if (swapchain_ && swapchain_->layout().width() == info.width &&
        swapchain_->layout().height() == info.height && formats_ == info.formats)
        return swapchain_.get();
    wl::SwapchainOptions options;
    options.width = info.width;
    options.height = info.height;
    options.formats = info.formats;
    options.heap = stage_.options.heap;
    options.name = "share-producer frames";
    auto made = wl::WaylandSwapchain::create(*display_, objects_.surface, stage_.heaps, stage_.ledger,
                                             options, deadline);
    if (!made) return std::move(made).error();
    swapchain_ = *std::move(made);
    formats_ = info.formats;
    picture_ = {info.width, info.height};
    xdg_toplevel_set_title(objects_.toplevel, info.name.c_str());
    return swapchain_.get();
}

Size WaylandWindow::wanted_box(Size picture) const {
    if (configured_.size.width > 0) return configured_.size;
    if (stage_.options.size) return *stage_.options.size;
    if (configured_.bounds.width > 0 && configured_.bounds.height > 0)
        return shrink_into(picture, configured_.bounds);
    return picture;
}

void WaylandWindow::note_scaling(Size picture, Size shown) {
    const bool scaled = picture.width != shown.width || picture.height != shown.height;
    if (scaled && (scaled_to_.width != shown.width || scaled_to_.height != shown.height))
        stage_.ledger.note("scale", fmt::format("the compositor scales {}x{} to {}x{} (wp_viewport)",
                                                picture.width, picture.height, shown.width, shown.height));
    scaled_to_ = shown;
}

/// Fills the box, the picture's shape kept: what does not fit is cropped on both sides alike.
void WaylandWindow::place_exactly(Size picture, Size box) {
    const auto part = fit_into(box, picture);
    wp_viewport_set_source(
        objects_.viewport, wl_fixed_from_int(static_cast<int>(picture.width - part.width)) / 2,
        wl_fixed_from_int(static_cast<int>(picture.height - part.height)) / 2,
        wl_fixed_from_int(static_cast<int>(part.width)), wl_fixed_from_int(static_cast<int>(part.height)));
    wp_viewport_set_destination(objects_.viewport, static_cast<int>(box.width), static_cast<int>(box.height));
    note_scaling(picture, box);
}

Result<void> WaylandWindow::prepare_present() {
    const Size picture = picture_;
    const Size box = wanted_box(picture);
    dirty_ = false;
    mapped_ = true;
    if (!objects_.viewport) {
        if ((configured_.fullscreen || configured_.exact) &&
            (picture.width > box.width || picture.height > box.height))
            return share::make_error(
                share::Code::unsupported,
                fmt::format("showing {}x{} pixels in {}x{}", picture.width, picture.height, box.width,
                            box.height),
                "the compositor has no wp_viewporter to scale it; use a smaller picture");
        return {};
    }
    if (configured_.exact && !configured_.fullscreen) {
        place_exactly(picture, box);
        return {};
    }
    const auto shown = fit_into(picture, box);
    wp_viewport_set_source(objects_.viewport, wl_fixed_from_int(-1), wl_fixed_from_int(-1),
                           wl_fixed_from_int(-1), wl_fixed_from_int(-1));
    wp_viewport_set_destination(objects_.viewport, static_cast<int>(shown.width),
                                static_cast<int>(shown.height));
    note_scaling(picture, shown);
    return {};
}

Result<void> WaylandWindow::present(const std::shared_ptr<share::Buffer>& buffer, share::FrameRecord record,
                                    Deadline deadline) {
    // Before anything of the surface's state is set: a refused buffer changes nothing.
    if (auto known = presenter_->prepare(buffer, deadline); !known) return known;
    picture_ = {buffer->layout().width(), buffer->layout().height()};
    if (auto placed = prepare_present(); !placed) return placed;
    return presenter_->present(buffer, {}, std::move(record), deadline);
}

Result<void> WaylandWindow::serve(Deadline deadline, std::span<const int> wake_fds) {
    if (auto served = display_->dispatch(deadline, wake_fds);
        !served && served.error().code != share::Code::timed_out)
        return served;
    // A new size with the same picture: placed anew, nothing is sent or decoded again.
    if (dirty_ && mapped_) {
        if (auto placed = prepare_present(); !placed) return placed;
        wl_surface_commit(objects_.surface);
    }
    return {};
}

} // namespace

Result<std::unique_ptr<Window>> open_wayland_window(const Stage& stage, const share::SourceInfo& first,
                                                    Deadline deadline) {
    auto display = wl::Display::connect(deadline);
    if (!display) return std::move(display).error();
    auto window = std::make_unique<WaylandWindow>(stage, *std::move(display));
    if (auto opened = window->open(first, deadline); !opened) return std::move(opened).error();
    return std::unique_ptr<Window>(std::move(window));
}

} // namespace producer
