// SPDX-License-Identifier: MIT
#include <share/wayland_client/presenter.hpp>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "path.hpp"
#include "surface_feed.hpp"
#include "surface_offer.hpp"

namespace share::wayland_client {
namespace {

/// Buffers of one kind have one fate.
struct BufferKind {
    std::string heap;
    Fourcc format = 0;
    std::uint64_t modifier = 0;
    friend bool operator==(const BufferKind&, const BufferKind&) = default;
};

BufferKind kind_of(const Buffer& buffer) {
    return {std::string(buffer.memory()->heap()), buffer.layout().format(), buffer.layout().modifier()};
}

/// Paths that this memory can take at all, best first.
std::vector<Mechanism> candidates(const Buffer& buffer) {
    const Memory& memory = *buffer.memory();
    if (memory.traits().kind == MemoryKind::dmabuf) return {Mechanism::dmabuf};
    return {memory.heap() == "udmabuf" ? Mechanism::udmabuf : Mechanism::dmabuf, Mechanism::memfd,
            Mechanism::wl_shm};
}

struct Known {
    std::unique_ptr<HeldBuffer> buffer;
    Mechanism path;
    std::string reason;
};

struct Refused {
    BufferKind kind;
    Mechanism path;
    std::string why;
};

} // namespace

struct Presenter::Impl final : IdleStream {
    Impl(Display& d, wl_surface* s, Ledger& l, std::optional<DmabufOffer> o)
        : IdleStream(d.impl().streams, std::chrono::seconds(1)),
          display(d),
          ledger(l),
          own_offer(std::move(o)),
          feed(d, s, l) {}
    ~Impl() override {
        for (auto& known : all)
            if (known.buffer->held()) display.impl().lingering.keep(std::move(known.buffer));
    }

    const DmabufOffer* offer() const noexcept { return own_offer ? &*own_offer : display.dmabuf(); }
    Known* find(const Buffer* buffer) {
        const auto at =
            std::ranges::find_if(all, [&](const Known& k) { return k.buffer->buffer().get() == buffer; });
        return at == all.end() ? nullptr : &*at;
    }
    std::string obstacle(Mechanism path, const Layout& layout) const;
    std::optional<std::uint64_t> modifier_for(const Layout& layout) const;
    Result<std::optional<Known>> try_path(Mechanism path, const std::shared_ptr<Buffer>& buffer,
                                          Deadline deadline);
    void refuse(Mechanism path, const Buffer& buffer, std::string why);
    Result<Known*> known_or_new(const std::shared_ptr<Buffer>& buffer, Deadline deadline);
    /// Those whose Buffer nobody else has, and that the compositor does not read.
    void forget_orphans() {
        std::erase_if(
            all, [](const Known& k) { return !k.buffer->held() && k.buffer->buffer().use_count() == 1; });
    }

    std::size_t trim() noexcept {
        const auto gone = std::erase_if(all, [](const Known& k) { return !k.buffer->held(); });
        if (gone > 0) wl_display_flush(display.native());
        return gone;
    }
    void unpin() noexcept override { trim(); }

    Display& display;
    Ledger& ledger;
    std::optional<DmabufOffer> own_offer;
    SurfaceFeed feed;
    std::vector<Known> all;
    std::vector<Refused> refused;
    std::vector<BufferKind> told; ///< kinds whose path is in the ledger
    std::optional<Mechanism> last_path;
};

std::optional<std::uint64_t> Presenter::Impl::modifier_for(const Layout& layout) const {
    if (layout.modifier() == modifier::linear) return offer()->linear_modifier(layout.format());
    if (offer()->offers(layout.format(), layout.modifier())) return layout.modifier();
    return std::nullopt;
}

std::string Presenter::Impl::obstacle(Mechanism path, const Layout& layout) const {
    if (path == Mechanism::wl_shm) {
        if (!display.impl().shm) return "the compositor has no wl_shm";
        if (!display.shm().offers(layout.format())) return "wl_shm does not offer the format";
        if (layout.plane_count() != 1) return "wl_shm buffers of several planes are not interchangeable";
        if (!layout.row_addressable()) return "wl_shm knows linear pictures only";
        return {};
    }
    if (!offer()) return display.dmabuf_reason();
    if (!modifier_for(layout))
        return fmt::format("linux-dmabuf does not offer the format with modifier {}",
                           modifier_text(layout.modifier()));
    if (path == Mechanism::memfd && layout.modifier() != modifier::linear) return "a memfd is linear";
    return {};
}

void Presenter::Impl::refuse(Mechanism path, const Buffer& buffer, std::string why) {
    auto kind = kind_of(buffer);
    ledger.note(std::string(to_string(path)),
                fmt::format("not taken for {} of {}: {}", fourcc_text(kind.format), kind.heap, why));
    refused.push_back({std::move(kind), path, std::move(why)});
}

/// Nothing when it cannot be taken; the reason is in `refused`.
Result<std::optional<Known>> Presenter::Impl::try_path(Mechanism path, const std::shared_ptr<Buffer>& buffer,
                                                       Deadline deadline) {
    const auto kind = kind_of(*buffer);
    if (std::ranges::any_of(refused, [&](const Refused& r) { return r.kind == kind && r.path == path; }))
        return std::optional<Known>();
    if (auto why = obstacle(path, buffer->layout()); !why.empty()) {
        refuse(path, *buffer, std::move(why));
        return std::optional<Known>();
    }
    const bool shm = path == Mechanism::wl_shm;
    Proxy<wl_shm_pool> pool;
    auto made = make_wl_buffer(display, buffer, path,
                               shm ? modifier::linear : *modifier_for(buffer->layout()), pool, deadline);
    if (!made && (made.error().code == Code::unsupported || made.error().code == Code::limit)) {
        refuse(path, *buffer, made.error().text());
        return std::optional<Known>();
    }
    if (!made) return std::move(made).error();
    // A wl_shm pool is not answered: what is wrong with it ends the connection, so ask.
    if (shm)
        if (auto taken = display.sync(deadline); !taken) return std::move(taken).error();
    return std::optional(
        Known{*std::move(made), path,
              fmt::format("{} of {} {}x{}: the buffer itself is handed over", kind.heap,
                          fourcc_text(kind.format), buffer->layout().width(), buffer->layout().height())});
}

Result<Known*> Presenter::Impl::known_or_new(const std::shared_ptr<Buffer>& buffer, Deadline deadline) {
    if (auto* const old = find(buffer.get())) return old;
    const auto kind = kind_of(*buffer);
    for (const auto path : candidates(*buffer)) {
        auto made = try_path(path, buffer, deadline);
        if (!made) return std::move(made).error();
        if (!*made) continue;
        if (std::ranges::find(told, kind) == told.end()) {
            ledger.note(std::string(to_string(path)), "taken for " + (*made)->reason);
            told.push_back(kind);
        }
        all.push_back(**std::move(made));
        return &all.back();
    }
    std::string reasons;
    for (const auto& r : refused)
        if (r.kind == kind)
            reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", to_string(r.path), r.why);
    return make_error(
        Code::unsupported,
        fmt::format("handing {} in {} memory to the compositor", fourcc_text(kind.format), kind.heap),
        reasons);
}

Presenter::Presenter(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Presenter::~Presenter() = default;

Result<std::unique_ptr<Presenter>> Presenter::create(Display& display, wl_surface* surface, Ledger& ledger,
                                                     Deadline deadline) {
    if (wl_proxy_get_display(reinterpret_cast<wl_proxy*>(surface)) != display.native())
        return make_error(Code::invalid_argument, "making a presenter",
                          "the surface is of another connection");
    auto own = surface_offer(display, surface, deadline);
    if (!own) return std::move(own).error();
    auto impl = std::make_unique<Impl>(display, surface, ledger, *std::move(own));
    if (!impl->feed.usable()) return make_error(Code::out_of_memory, "making a presenter", "out of memory");
    return std::unique_ptr<Presenter>(new Presenter(std::move(impl)));
}

bool Presenter::lists(Fourcc format) const noexcept {
    const auto* const offer = impl_->offer();
    return (offer && offer->linear_modifier(format)) || impl_->display.shm().offers(format);
}

Result<void> Presenter::prepare(const std::shared_ptr<Buffer>& buffer, Deadline deadline) {
    impl_->touch();
    auto known = impl_->known_or_new(buffer, deadline);
    if (!known) return std::move(known).error();
    impl_->touch(); // the answer may have taken its time
    return {};
}

Result<void> Presenter::present(const std::shared_ptr<Buffer>& buffer, std::span<const Rect> damage,
                                FrameRecord record, Deadline deadline) {
    auto& me = *impl_;
    if (auto gone = me.display.error()) return *std::move(gone);
    me.touch();
    auto known = me.known_or_new(buffer, deadline);
    if (!known) return std::move(known).error();
    auto attachment = buffer->attach(Access::read, "the compositor", Deadline::none());
    if (!attachment) return std::move(attachment).error();
    const auto path = (*known)->path;
    me.feed.commit(*(*known)->buffer, *std::move(attachment), damage, std::move(record), path,
                   (*known)->reason);
    me.last_path = path;
    me.touch();
    me.forget_orphans();
    return {};
}

Result<void> Presenter::wait_paced(Deadline deadline) {
    return impl_->feed.wait_paced(deadline);
}
Result<void> Presenter::wait_shown(Deadline deadline) {
    return impl_->feed.wait_shown(deadline);
}
std::size_t Presenter::trim() noexcept {
    return impl_->trim();
}
void Presenter::set_idle_after(std::chrono::milliseconds after) noexcept {
    impl_->set_idle_after(after);
}
std::optional<Mechanism> Presenter::path() const noexcept {
    return impl_->last_path;
}
std::size_t Presenter::held_by_compositor() const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(impl_->all, [](const Known& k) { return k.buffer->held(); }));
}
std::size_t Presenter::known() const noexcept {
    return impl_->all.size();
}
const std::optional<PresentationTime>& Presenter::last_shown() const noexcept {
    return impl_->feed.last_shown();
}

} // namespace share::wayland_client
