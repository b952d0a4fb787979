// SPDX-License-Identifier: MIT
#include <share/wayland_client/swapchain.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "path.hpp"
#include "surface_feed.hpp"
#include "surface_offer.hpp"

namespace share::wayland_client {

struct WaylandSwapchain::Impl final : IdleStream {
    struct Slot {
        std::unique_ptr<HeldBuffer> buffer; ///< null until used, and after trim()
        Pool::Slot token;                   ///< while the producer has it
        bool used = false;
        std::uint64_t presented = 0; ///< the frame that it showed last; 0: none
        bool free() const noexcept { return !token && !(buffer && buffer->held()); }
    };

    Impl(Display& d, wl_surface* s, Ledger& l, const SwapchainOptions& o, ChosenPath chosen)
        : IdleStream(d.impl().streams, o.idle_after),
          display(d),
          ledger(l),
          options(o),
          path(std::move(chosen.path)),
          slots(path.pool.slot_count()),
          cap(path.pool.slot_count()),
          feed(d, s, l) {
        slots[0].buffer = std::move(chosen.first);
        touch();
    }
    ~Impl() override {
        for (auto& slot : slots)
            if (slot.buffer && slot.buffer->held()) display.impl().lingering.keep(std::move(slot.buffer));
    }

    bool any_used_free() const noexcept {
        return std::ranges::any_of(slots, [](const Slot& s) { return s.used && s.free(); });
    }
    std::size_t used() const noexcept {
        return static_cast<std::size_t>(std::ranges::count_if(slots, &Slot::used));
    }
    bool may_take(std::size_t limit) const noexcept { return any_used_free() || used() < limit; }
    Result<std::optional<Image>> take(Deadline deadline);
    std::size_t trim() noexcept;
    void unpin() noexcept override { trim(); }
    Result<void> usable(const Image& image, const char* operation) const;

    Display& display;
    Ledger& ledger;
    SwapchainOptions options;
    Path path;
    std::vector<Slot> slots;
    std::vector<Pool::Slot> refused; ///< whose wl_buffer the compositor did not take
    std::size_t cap;                 ///< of slots; less than the pool's when the compositor refused one
    SurfaceFeed feed;
};

namespace {

bool is_refusal(const Error& error) {
    return error.code == Code::unsupported || error.code == Code::limit;
}

} // namespace

Result<std::unique_ptr<WaylandSwapchain>> WaylandSwapchain::create(Display& display, wl_surface* surface,
                                                                   const HeapTable& heaps, Ledger& ledger,
                                                                   const SwapchainOptions& options,
                                                                   Deadline deadline) {
    if (wl_proxy_get_display(reinterpret_cast<wl_proxy*>(surface)) != display.native())
        return make_error(Code::invalid_argument, "making a swapchain",
                          "the surface is of another connection");
    auto own = surface_offer(display, surface, deadline);
    if (!own) return std::move(own).error();
    const DmabufOffer* const offer = *own ? &**own : display.dmabuf();
    auto chosen = choose_path(display, offer, display.dmabuf_reason(), heaps, options, ledger, deadline);
    if (!chosen) return std::move(chosen).error();
    auto impl = std::make_unique<Impl>(display, surface, ledger, options, *std::move(chosen));
    if (!impl->feed.usable()) return make_error(Code::out_of_memory, "making a swapchain", "out of memory");
    return std::unique_ptr<WaylandSwapchain>(new WaylandSwapchain(std::move(impl)));
}

WaylandSwapchain::WaylandSwapchain(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
WaylandSwapchain::~WaylandSwapchain() = default;

const Layout& WaylandSwapchain::layout() const noexcept {
    return impl_->path.pool.layout();
}
Mechanism WaylandSwapchain::path() const noexcept {
    return impl_->path.mechanism;
}
std::size_t WaylandSwapchain::slots_in_use() const noexcept {
    return impl_->used();
}
const std::optional<PresentationTime>& WaylandSwapchain::last_shown() const noexcept {
    return impl_->feed.last_shown();
}

std::size_t WaylandSwapchain::held_by_compositor() const noexcept {
    return static_cast<std::size_t>(std::ranges::count_if(
        impl_->slots, [](const Impl::Slot& slot) { return slot.buffer && slot.buffer->held(); }));
}

/// Nothing when the compositor refused the slot's wl_buffer and others are left to wait for.
Result<std::optional<Swapchain::Image>> WaylandSwapchain::Impl::take(Deadline deadline) {
    auto token = path.pool.try_acquire();
    if (!token && token.error().code == Code::busy) return std::optional<Image>();
    if (!token) return std::move(token).error();
    auto& slot = slots[token->index()];
    if (!slot.buffer) {
        auto made = make_wl_buffer(display, path, token->index(), deadline);
        if (!made && is_refusal(made.error()) && !slot.used && used() >= 2) {
            cap = used();
            refused.push_back(*std::move(token)); // or the pool would lend it first again
            ledger.note(std::string(to_string(path.mechanism)),
                        fmt::format("stays with {} slots: {}", cap, made.error().text()));
            return std::optional<Image>();
        }
        if (!made) return std::move(made).error();
        slot.buffer = *std::move(made);
    }
    slot.used = true;
    const auto index = token->index();
    slot.token = *std::move(token);
    const auto age = slot.presented == 0 ? 0 : static_cast<std::uint32_t>(feed.frame() + 1 - slot.presented);
    return std::optional(Image{slot.token.buffer(), index, age});
}

Result<Swapchain::Image> WaylandSwapchain::acquire(Deadline deadline) {
    auto& me = *impl_;
    // Take what has come already; that nothing came is no error here.
    if (auto ready = me.display.dispatch(Deadline::none()); !ready && ready.error().code != Code::timed_out)
        return std::move(ready).error();
    const auto patience = std::min(Deadline::in(me.options.grow_after).when(), deadline.when());
    for (;;) {
        me.touch(); // who waits for a buffer is not idle
        const bool patient = Deadline::Clock::now() < patience;
        const std::size_t limit = patient ? std::min<std::size_t>(me.options.start_slots, me.cap) : me.cap;
        if (me.may_take(limit)) {
            auto image = me.take(deadline);
            if (!image) return std::move(image).error();
            if (*image) return **std::move(image);
        }
        auto step = me.display.dispatch(patient ? Deadline(patience) : deadline);
        if (step || (patient && step.error().code == Code::timed_out)) continue;
        if (step.error().code != Code::timed_out) return std::move(step).error();
        return make_error(Code::timed_out, "waiting for a free buffer",
                          fmt::format("the compositor has released none of {}", me.used()));
    }
}

void WaylandSwapchain::discard(Image image) noexcept {
    if (image.slot < impl_->slots.size()) impl_->slots[image.slot].token = Pool::Slot();
}

Result<void> WaylandSwapchain::Impl::usable(const Image& image, const char* operation) const {
    if (image.slot >= slots.size() || !slots[image.slot].token ||
        slots[image.slot].token.buffer() != image.buffer)
        return make_error(Code::invalid_argument, operation, "the image was not acquired here");
    if (auto gone = display.error()) return *std::move(gone);
    return {};
}

Result<void> WaylandSwapchain::present(Image image, std::span<const Rect> damage, FrameRecord record) {
    auto& me = *impl_;
    if (auto fit = me.usable(image, "presenting a frame"); !fit) return fit;
    auto& slot = me.slots[image.slot];
    auto attachment = image.buffer->attach(Access::read, fmt::format("the compositor's slot {}", image.slot),
                                           Deadline::none());
    if (!attachment) return std::move(attachment).error();
    slot.token = Pool::Slot();
    me.feed.commit(*slot.buffer, *std::move(attachment), damage, std::move(record), me.path.mechanism,
                   me.path.reason);
    slot.presented = me.feed.frame();
    me.touch();
    return {};
}

Result<void> WaylandSwapchain::wait_paced(Deadline deadline) {
    return impl_->feed.wait_paced(deadline);
}

Result<void> WaylandSwapchain::wait_shown(Deadline deadline) {
    return impl_->feed.wait_shown(deadline);
}

std::size_t WaylandSwapchain::Impl::trim() noexcept {
    std::size_t gone = 0;
    for (auto& slot : slots) {
        if (!slot.buffer || !slot.free()) continue;
        slot.buffer.reset();
        ++gone;
    }
    if (gone > 0) wl_display_flush(display.native());
    return gone;
}

std::size_t WaylandSwapchain::trim() noexcept {
    return impl_->trim();
}

} // namespace share::wayland_client
