// SPDX-License-Identifier: MIT
#include <share/x11/swapchain.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "choose_path.hpp"
#include "convert.hpp"
#include "transport.hpp"

namespace share::x11 {

namespace {

constexpr std::int32_t wire_max = 32767;

constexpr std::array<std::string_view, 4> path_words = {"auto", "fd", "sysv", "socket"};

/// `a` cut to `bounds`, computed in 64 bits: a damage of INT32_MAX is legal.
Rect intersect(const Rect& a, const Rect& bounds) {
    const auto left = std::max<std::int64_t>(a.x, bounds.x), top = std::max<std::int64_t>(a.y, bounds.y);
    const auto right = std::min(std::int64_t{a.x} + a.width, std::int64_t{bounds.x} + bounds.width);
    const auto bottom = std::min(std::int64_t{a.y} + a.height, std::int64_t{bounds.y} + bounds.height);
    if (right <= left || bottom <= top) return {};
    return {static_cast<std::int32_t>(left), static_cast<std::int32_t>(top),
            static_cast<std::int32_t>(right - left), static_cast<std::int32_t>(bottom - top)};
}

} // namespace

std::string_view to_string(Path path) noexcept {
    return path_words[static_cast<std::size_t>(path)];
}

std::optional<Path> parse_path(std::string_view word) noexcept {
    const auto found = std::find(path_words.begin(), path_words.end(), word);
    if (found == path_words.end()) return std::nullopt;
    return static_cast<Path>(found - path_words.begin());
}

class X11Swapchain::Impl final : private EventSink {
public:
    struct SlotState {
        Pool::Slot token;  ///< from acquire until nobody needs the pixels
        Attachment hold;   ///< the server's, and repaint()'s
        bool lent = false; ///< the producer has it
        bool in_flight = false;
        std::uint32_t first = 0, last = 0; ///< sequence numbers of its puts
        std::uint64_t shown = 0;           ///< number of the present that showed it; 0: content undefined
    };

    Impl(std::shared_ptr<Connection> connection, const Target& target, Ledger& ledger,
         const SwapchainOptions& options)
        : connection_(std::move(connection)), target_(target), ledger_(ledger), options_(options) {
        connection_->add_sink(*this);
    }
    ~Impl() override;

    Result<void> set_up(const Layout& lent, const Layout& shown, const HeapTable& heaps, Deadline deadline);
    Result<Image> acquire(Deadline deadline);
    void discard(std::uint32_t slot) noexcept;
    Result<void> present(const Image& image, std::span<const Rect> damage, FrameRecord record);
    Result<void> repaint(const Rect& area);
    Result<void> wait_last(bool also_roundtrip, Deadline deadline);

    std::vector<Put> clip(std::span<const Rect> damage) const;
    Result<void> usable();
    void handle(const xcb_generic_event_t& event) override;

    const Pool& lent_pool() const { return converted_from_ ? *converted_from_ : path_->pool; }
    Result<void> convert_frame(std::uint32_t slot, FrameRecord& record);
    Result<void> put(std::uint32_t slot, std::span<const Put> puts, Deadline deadline);
    void tell(const Buffer& buffer, std::span<const Put> puts, FrameRecord& record) const;
    void settle(std::uint32_t slot) noexcept;
    void drop_all() noexcept;

    std::shared_ptr<Connection> connection_;
    Target target_;
    Ledger& ledger_;
    SwapchainOptions options_;
    std::optional<ChosenPath> path_;
    std::optional<Pool> converted_from_; ///< lent images, when the window has another format
    std::vector<SlotState> slots_;
    std::optional<std::uint32_t> front_; ///< the last presented slot
    std::optional<std::uint32_t> last_;  ///< presented last, whether kept or not
    std::optional<Error> failed_;
    std::uint64_t presents_ = 0;
    std::int32_t x_ = 0, y_ = 0;
    std::int32_t window_width_ = wire_max, window_height_ = wire_max; ///< as large as can be: not told
};

X11Swapchain::Impl::~Impl() {
    connection_->remove_sink(*this);
    path_.reset(); // detaches the segment
    if (connection_->check()) {
        xcb_free_gc(connection_->xcb(), target_.gc);
        (void)connection_->flush(Deadline::in(std::chrono::milliseconds(100)));
    }
}

Result<void> X11Swapchain::Impl::set_up(const Layout& lent, const Layout& shown, const HeapTable& heaps,
                                        Deadline deadline) {
    auto* xcb = connection_->xcb();
    const std::uint32_t no_exposures = 0;
    xcb_create_gc(xcb, target_.gc, target_.window, XCB_GC_GRAPHICS_EXPOSURES, &no_exposures);
    auto path = choose_path(target_, shown, options_.slots, options_.path, heaps, ledger_, deadline);
    if (!path) return std::move(path).error();
    path_.emplace(std::move(*path));
    slots_.resize(options_.slots);
    if (lent.format() == shown.format()) return {};
    auto heap = heaps.first_of({"memfd", "sysv"});
    if (!heap) return std::move(heap).error();
    auto pool = Pool::create(**heap, lent, options_.slots, "libshare frames to convert");
    if (!pool) return std::move(pool).error();
    converted_from_.emplace(std::move(*pool));
    ledger_.note("convert",
                 fmt::format("the window's pixels are {}, the pictures are {}: each frame is rewritten",
                             fourcc_text(shown.format()), fourcc_text(lent.format())));
    return {};
}

Result<void> X11Swapchain::Impl::usable() {
    if (auto ok = connection_->check(); !ok) {
        drop_all();
        return ok;
    }
    if (failed_) return *failed_;
    return {};
}

void X11Swapchain::Impl::drop_all() noexcept {
    front_.reset();
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        slots_[i].in_flight = false;
        settle(i);
    }
}

/// Gives the slot back when nobody needs its pixels any more.
void X11Swapchain::Impl::settle(std::uint32_t index) noexcept {
    auto& slot = slots_[index];
    if (slot.lent || slot.in_flight || front_ == index) return;
    slot.hold.release();
    slot.token = {};
}

void X11Swapchain::Impl::handle(const xcb_generic_event_t& event) {
    if (!path_) return;
    if (const auto done = path_->transport->completed(event)) {
        for (std::uint32_t i = 0; i < slots_.size(); ++i) {
            if (!slots_[i].in_flight || slots_[i].last != *done) continue;
            slots_[i].in_flight = false;
            settle(i);
        }
        return;
    }
    if (event.response_type != 0) return;
    const auto& error = reinterpret_cast<const xcb_generic_error_t&>(event);
    if (error.major_code != path_->transport->opcode()) return;
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        auto& slot = slots_[i];
        const bool ours = slot.last != 0 && error.full_sequence - slot.first <= slot.last - slot.first;
        if (!ours) continue;
        failed_ =
            make_error(Code::io, fmt::format("showing a frame in X window 0x{:x}", target_.window),
                       fmt::format("the X server answered {}; was the window destroyed?", error_text(error)));
        if (error.full_sequence != slot.last) continue;
        slot.in_flight = false; // no completion will follow
        settle(i);
    }
}

Result<share::Swapchain::Image> X11Swapchain::Impl::acquire(Deadline deadline) {
    auto served = connection_->dispatch(deadline);
    for (;;) {
        if (auto ok = usable(); !ok) return std::move(ok).error();
        if (!served && served.error().code != Code::timed_out) return std::move(served).error();
        auto taken = const_cast<Pool&>(lent_pool()).try_acquire();
        if (taken) {
            const auto index = taken->index();
            auto& slot = slots_[index];
            slot.token = std::move(*taken);
            slot.lent = true;
            const auto age = slot.shown == 0 ? 0 : presents_ - slot.shown + 1;
            return Image{slot.token.buffer(), index,
                         static_cast<std::uint32_t>(std::min<std::uint64_t>(age, ~0U))};
        }
        if (taken.error().code != Code::busy) return std::move(taken).error();
        if (!served)
            return make_error(
                Code::timed_out, fmt::format("waiting for a free frame of X window 0x{:x}", target_.window),
                fmt::format("all {} are in use ({} by the X server, which does not answer); give back "
                            "what you hold, or allow more slots",
                            slots_.size(), std::count_if(slots_.begin(), slots_.end(), [](const auto& s) {
                                return s.in_flight;
                            })));
        served = connection_->wait_event(deadline);
    }
}

void X11Swapchain::Impl::discard(std::uint32_t index) noexcept {
    auto& slot = slots_[index];
    slot.lent = false;
    slot.shown = 0; // somebody may have written into it
    settle(index);
}

/// Damage in buffer pixels as puts that buffer, window and wire can hold.
std::vector<Put> X11Swapchain::Impl::clip(std::span<const Rect> damage) const {
    const auto& layout = path_->pool.layout();
    const Rect whole{0, 0, static_cast<std::int32_t>(layout.width()),
                     static_cast<std::int32_t>(layout.height())};
    // What lies outside the window cannot be seen, and what is beyond 32767 cannot be said.
    const Rect visible = intersect(whole, {-x_, -y_, window_width_, window_height_});
    std::vector<Put> puts;
    const auto add = [&](const Rect& rect) {
        const Rect r = intersect(rect, visible);
        if (r.width > 0)
            puts.push_back({r, static_cast<std::int16_t>(r.x + x_), static_cast<std::int16_t>(r.y + y_)});
    };
    if (damage.empty()) add(whole);
    for (const auto& rect : damage)
        add(rect);
    return puts;
}

Result<void> X11Swapchain::Impl::convert_frame(std::uint32_t index, FrameRecord& record) {
    const auto wait = Deadline::in(options_.send_timeout);
    auto from = lent_pool().buffer(index)->map(Access::read, wait);
    if (!from) return std::move(from).error();
    auto to = path_->pool.buffer(index)->map(Access::write, wait);
    if (!to) return std::move(to).error();
    convert(*from, *to);
    if (auto ok = from->end(); !ok) return ok;
    if (auto ok = to->end(); !ok) return ok;
    record.steps.push_back(
        {"convert", Mechanism::map, By::us, 0, path_->pool.layout().pixel_bytes(),
         fmt::format("the window's pixels are {}", fourcc_text(path_->pool.layout().format()))});
    return {};
}

Result<void> X11Swapchain::Impl::put(std::uint32_t index, std::span<const Put> puts, Deadline deadline) {
    if (puts.empty()) return {};
    auto& slot = slots_[index];
    auto sent = path_->transport->put(path_->pool.buffer(index), puts, deadline);
    if (sent.last != 0) {
        slot.first = slot.in_flight ? slot.first : sent.first;
        slot.last = sent.last;
    }
    slot.in_flight = slot.in_flight || sent.awaits_completion;
    if (sent.error) return std::move(*sent.error);
    return {};
}

void X11Swapchain::Impl::tell(const Buffer& buffer, std::span<const Put> puts, FrameRecord& record) const {
    std::uint64_t bytes = 0;
    for (const auto& p : puts)
        bytes += static_cast<std::uint64_t>(p.source.width) * static_cast<std::uint64_t>(p.source.height) *
                 (target_.bits_per_pixel / 8U);
    const auto mechanism = path_->transport->mechanism();
    if (mechanism == Mechanism::x_socket) {
        record.steps.push_back(
            {"share", mechanism, By::us, bytes, 0, "PutImage: the pixels are written into the socket"});
        record.steps.push_back(
            {"present", mechanism, By::server, bytes * 2, 0,
             "the server reads the pixels from the socket and copies them into the window"});
        return;
    }
    record.steps.push_back(
        {"share", mechanism, By::us, 0, 0,
         fmt::format("the server reads our {} memory as it stands", buffer.memory()->heap())});
    record.steps.push_back({"present", mechanism, By::server, bytes, 0,
                            fmt::format("ShmPutImage copies the damage into the window ({} rectangle{})",
                                        puts.size(), puts.size() == 1 ? "" : "s")});
}

Result<void> X11Swapchain::Impl::present(const Image& image, std::span<const Rect> damage,
                                         FrameRecord record) {
    const auto index = image.slot;
    assert(index < slots_.size() && slots_[index].lent);
    auto& slot = slots_[index];
    const auto refuse = [&](Error error) -> Result<void> {
        discard(index);
        return error;
    };
    if (auto ok = usable(); !ok) return refuse(std::move(ok).error());
    auto hold =
        image.buffer->attach(Access::read, fmt::format("X window 0x{:x}", target_.window), Deadline::none());
    if (!hold) return refuse(std::move(hold).error());
    slot.hold = std::move(*hold);
    if (converted_from_) {
        if (auto ok = convert_frame(index, record); !ok) return refuse(std::move(ok).error());
    }
    const auto puts = clip(damage);
    if (auto ok = put(index, puts, Deadline::in(options_.send_timeout)); !ok)
        return refuse(std::move(ok).error());

    slot.lent = false;
    slot.shown = ++presents_;
    const auto old = std::exchange(front_, options_.keep_front ? std::optional(index) : std::nullopt);
    if (old && *old != index) settle(*old);
    settle(index);
    tell(*path_->pool.buffer(index), puts, record);
    if (record.frame == 0) record.frame = presents_;
    ledger_.add(std::move(record));
    last_ = index;
    return {};
}

Result<void> X11Swapchain::Impl::repaint(const Rect& area) {
    if (auto ok = usable(); !ok) return ok;
    if (!front_) return {};
    const Rect part = intersect({0, 0, wire_max, wire_max}, area);
    const Rect source{part.x - x_, part.y - y_, part.width, part.height};
    if (part.width == 0) return {};
    return put(*front_, clip({&source, 1}), Deadline::in(options_.send_timeout));
}

Result<void> X11Swapchain::Impl::wait_last(bool also_roundtrip, Deadline deadline) {
    // Completions come in the order of the puts, so the last present's is the last to come.
    while (last_ && slots_[*last_].in_flight) {
        if (auto ok = usable(); !ok) return ok;
        auto served = connection_->wait_event(deadline);
        if (!served) {
            (void)usable();
            return served;
        }
    }
    if (also_roundtrip) {
        if (auto ok = connection_->roundtrip(deadline); !ok) {
            (void)usable();
            return ok;
        }
        if (auto ok = connection_->dispatch(deadline); !ok) return ok;
    }
    return usable();
}

X11Swapchain::X11Swapchain(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
X11Swapchain::~X11Swapchain() = default;

Result<std::unique_ptr<X11Swapchain>> X11Swapchain::create(std::shared_ptr<Connection> connection,
                                                           xcb_window_t window, const HeapTable& heaps,
                                                           Ledger& ledger, const SwapchainOptions& options,
                                                           Deadline deadline) {
    const auto operation =
        fmt::format("making frames of {}x{} for X window 0x{:x}", options.width, options.height, window);
    const std::uint32_t least = options.keep_front ? 2 : 1;
    if (options.slots < least || options.slots > 64)
        return make_error(Code::invalid_argument, operation, fmt::format("slots must be {} to 64", least));
    if (options.width > wire_max || options.height > wire_max)
        return make_error(Code::limit, operation,
                          "an X window has at most 32767 pixels each way; scale the picture down");
    if (auto ok = connection->check(); !ok) return std::move(ok).error();
    auto format = window_format(*connection, window, deadline);
    if (!format) return std::move(format).error();
    const Fourcc lent_format = choose_format(format->format, options.formats);
    if (lent_format == 0)
        return make_error(
            Code::unsupported, operation,
            fmt::format("its pixels are {}, which the producer neither writes nor can have converted "
                        "from XR24",
                        fourcc_text(format->format)));
    const bool as_is = same_bytes(lent_format, format->format);
    auto lent = Layout::linear(options.width, options.height, lent_format);
    auto shown = Layout::linear(options.width, options.height, as_is ? lent_format : format->format);
    if (!lent) return std::move(lent).error();
    if (!shown) return std::move(shown).error();

    const Target target{connection.get(),
                        window,
                        xcb_generate_id(connection->xcb()),
                        format->depth,
                        format->bits_per_pixel,
                        format->scanline_pad};
    auto impl = std::make_unique<Impl>(std::move(connection), target, ledger, options);
    if (auto ok = impl->set_up(*lent, *shown, heaps, deadline); !ok) return std::move(ok).error();
    return std::unique_ptr<X11Swapchain>(new X11Swapchain(std::move(impl)));
}

const Layout& X11Swapchain::layout() const noexcept {
    return impl_->lent_pool().layout();
}
Result<share::Swapchain::Image> X11Swapchain::acquire(Deadline deadline) {
    return impl_->acquire(deadline);
}

void X11Swapchain::discard(Image image) noexcept {
    image.buffer.reset();
    impl_->discard(image.slot);
}

Result<void> X11Swapchain::present(Image image, std::span<const Rect> damage, FrameRecord record) {
    return impl_->present(image, damage, std::move(record));
}

Result<void> X11Swapchain::wait_paced(Deadline deadline) {
    // The socket has no completion events: the server's answer to a question after the pixels is one.
    return impl_->wait_last(path() == Mechanism::x_socket, deadline);
}

Result<void> X11Swapchain::wait_shown(Deadline deadline) {
    return impl_->wait_last(true, deadline);
}
Mechanism X11Swapchain::path() const noexcept {
    return impl_->path_->transport->mechanism();
}

void X11Swapchain::set_position(std::int32_t x, std::int32_t y) noexcept {
    impl_->x_ = std::clamp(x, -wire_max, wire_max);
    impl_->y_ = std::clamp(y, -wire_max, wire_max);
}

void X11Swapchain::set_window_size(std::uint32_t width, std::uint32_t height) noexcept {
    const auto limit = static_cast<std::uint32_t>(wire_max);
    impl_->window_width_ = static_cast<std::int32_t>(std::min(width, limit));
    impl_->window_height_ = static_cast<std::int32_t>(std::min(height, limit));
}

Result<void> X11Swapchain::repaint(Rect area) {
    return impl_->repaint(area);
}

std::uint32_t X11Swapchain::in_flight() const noexcept {
    return static_cast<std::uint32_t>(
        std::count_if(impl_->slots_.begin(), impl_->slots_.end(), [](const auto& s) { return s.in_flight; }));
}

const std::shared_ptr<Memory>& X11Swapchain::memory() const noexcept {
    return impl_->path_->pool.memory();
}

} // namespace share::x11
