// SPDX-License-Identifier: MIT
#include <share/wayland_client/swapchain.hpp>

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "feedback.hpp"
#include "path.hpp"
#include "presentation.hpp"

namespace share::wayland_client {

struct WaylandSwapchain::Impl {
    struct Slot {
        std::unique_ptr<HeldBuffer> buffer; ///< null until used, and after trim()
        Pool::Slot token;                   ///< while the producer has it
        bool used = false;
        std::uint64_t presented = 0; ///< the frame that it showed last; 0: none
        bool free() const noexcept { return !token && !(buffer && buffer->held()); }
    };

    Impl(Display& d, wl_surface* s, Ledger& l, const SwapchainOptions& o, ChosenPath chosen)
        : display(d),
          surface(s),
          ledger(l),
          options(o),
          path(std::move(chosen.path)),
          slots(path.pool.slot_count()),
          cap(path.pool.slot_count()),
          presentation(d.impl().presentation.get(), d.impl().clock_id) {
        slots[0].buffer = std::move(chosen.first);
        on_queue = wrap_proxy(surface, d.queue());
    }
    ~Impl() {
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
    void announce(std::span<const Rect> damage);
    void ask_for_frame();
    void note_zero_copy();
    Result<void> usable(const Image& image, const char* operation) const;

    static const wl_callback_listener frame_listener;

    Display& display;
    wl_surface* surface;
    Ledger& ledger;
    SwapchainOptions options;
    Path path;
    std::vector<Slot> slots;
    std::vector<Pool::Slot> refused; ///< whose wl_buffer the compositor did not take
    std::size_t cap;                 ///< of slots; less than the pool's when the compositor refused one
    Wrapper<wl_surface> on_queue;
    Proxy<wl_callback> frame_callback; ///< of the last present, until it is done
    PresentationTracker presentation;
    std::uint64_t frame = 0;
    bool zero_copy_told = false;
};

const wl_callback_listener WaylandSwapchain::Impl::frame_listener = {
    .done = [](void* data, wl_callback*,
               std::uint32_t) noexcept { static_cast<Impl*>(data)->frame_callback.reset(); },
};

namespace {

/// What the compositor says for this very surface, from version 4 on. Nothing when it says nothing usable.
Result<std::optional<DmabufOffer>> surface_offer(Display& display, wl_surface* surface, Deadline deadline) {
    auto* const dmabuf = display.impl().dmabuf.get();
    if (!display.dmabuf() ||
        zwp_linux_dmabuf_v1_get_version(dmabuf) < ZWP_LINUX_DMABUF_V1_GET_SURFACE_FEEDBACK_SINCE_VERSION)
        return std::optional<DmabufOffer>();
    FeedbackCollector feedback(zwp_linux_dmabuf_v1_get_surface_feedback(dmabuf, surface));
    if (auto told = display.sync(deadline); !told) return std::move(told).error();
    return feedback.fault().empty() ? feedback.offer() : std::nullopt;
}

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
    if (!impl->on_queue) return make_error(Code::out_of_memory, "making a swapchain", "out of memory");
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
    return impl_->presentation.last();
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
    const auto age = slot.presented == 0 ? 0 : static_cast<std::uint32_t>(frame + 1 - slot.presented);
    return std::optional(Image{slot.token.buffer(), index, age});
}

Result<Swapchain::Image> WaylandSwapchain::acquire(Deadline deadline) {
    auto& me = *impl_;
    // Take what has come already; that nothing came is no error here.
    if (auto ready = me.display.dispatch(Deadline::none()); !ready && ready.error().code != Code::timed_out)
        return std::move(ready).error();
    const auto patience = std::min(Deadline::in(me.options.grow_after).when(), deadline.when());
    for (;;) {
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

void WaylandSwapchain::Impl::announce(std::span<const Rect> damage) {
    constexpr auto all = std::numeric_limits<std::int32_t>::max();
    // Older surfaces count damage in surface coordinates, which only their owner can tell from pixels.
    if (wl_surface_get_version(surface) < WL_SURFACE_DAMAGE_BUFFER_SINCE_VERSION) {
        wl_surface_damage(surface, 0, 0, all, all);
        return;
    }
    if (damage.empty()) wl_surface_damage_buffer(surface, 0, 0, all, all);
    for (const auto& rect : damage)
        wl_surface_damage_buffer(surface, rect.x, rect.y, rect.width, rect.height);
}

void WaylandSwapchain::Impl::ask_for_frame() {
    frame_callback.reset(wl_surface_frame(on_queue.get()));
    if (frame_callback) wl_callback_add_listener(frame_callback.get(), &frame_listener, this);
}

void WaylandSwapchain::Impl::note_zero_copy() {
    const auto& last = presentation.last();
    if (!last || last->zero_copy == zero_copy_told) return;
    zero_copy_told = last->zero_copy;
    ledger.note("presentation", fmt::format("from frame {} on the display reads our buffer itself: {}",
                                            last->frame, last->zero_copy ? "yes (zero_copy)" : "no longer"));
}

Result<void> WaylandSwapchain::present(Image image, std::span<const Rect> damage, FrameRecord record) {
    auto& me = *impl_;
    if (auto fit = me.usable(image, "presenting a frame"); !fit) return fit;
    auto& slot = me.slots[image.slot];
    auto attachment = image.buffer->attach(Access::read, fmt::format("the compositor's slot {}", image.slot),
                                           Deadline::none());
    if (!attachment) return std::move(attachment).error();
    slot.buffer->hold(*std::move(attachment));
    slot.token = Pool::Slot();
    slot.presented = ++me.frame;
    wl_surface_attach(me.surface, slot.buffer->object(), 0, 0);
    me.announce(damage);
    me.ask_for_frame();
    if (me.display.impl().presentation) me.presentation.follow(me.surface, me.frame);
    wl_surface_commit(me.surface);
    // A full socket is flushed by the next wait; a broken one gives its error there.
    wl_display_flush(me.display.native());
    record.frame = me.frame;
    record.steps.push_back({"share", me.path.mechanism, By::us, 0, 0, me.path.reason});
    record.steps.push_back({"present", me.path.mechanism, By::compositor, std::nullopt, std::nullopt,
                            "what another program does with the buffer is not visible from here"});
    me.ledger.add(std::move(record));
    me.note_zero_copy();
    return {};
}

Result<void> WaylandSwapchain::wait_paced(Deadline deadline) {
    auto done = impl_->display.wait_until([this] { return !impl_->frame_callback; }, deadline);
    if (!done && done.error().code == Code::timed_out)
        return make_error(Code::timed_out, "waiting until the compositor wants a frame",
                          "no frame callback came; a hidden window gets none");
    return done;
}

Result<void> WaylandSwapchain::wait_shown(Deadline deadline) {
    auto& me = *impl_;
    const char* const operation = "waiting until the frame is shown";
    if (me.frame == 0) return make_error(Code::invalid_argument, operation, "nothing was presented");
    if (!me.display.impl().presentation) return wait_paced(deadline);
    auto told = me.display.wait_until([&] { return me.presentation.settled(me.frame); }, deadline);
    me.note_zero_copy();
    if (!told && told.error().code == Code::timed_out)
        return make_error(Code::timed_out, operation,
                          "the compositor did not tell; the window may be hidden");
    if (!told) return told;
    if (me.presentation.discarded(me.frame))
        return make_error(Code::unavailable, operation, "the compositor discarded the frame unseen");
    return {};
}

std::size_t WaylandSwapchain::trim() noexcept {
    std::size_t gone = 0;
    for (auto& slot : impl_->slots) {
        if (!slot.buffer || !slot.free()) continue;
        slot.buffer.reset();
        ++gone;
    }
    wl_display_flush(impl_->display.native());
    return gone;
}

} // namespace share::wayland_client
