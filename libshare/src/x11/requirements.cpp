// SPDX-License-Identifier: MIT
#include <share/x11/requirements.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <share/buffer.hpp>
#include <share/handle.hpp>
#include <share/measure.hpp>
#include <share/x11/offer.hpp>
#include <share/x11/swapchain.hpp>

#include "shm_probe.hpp"

namespace share::x11 {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t longest_side = 32767; ///< positions have 16 bits and a sign
constexpr std::string_view not_tried = "could not be tried: ";

struct Kind {
    Exports handle;
    const char* heap;
};
constexpr std::array kinds{Kind{Exports::memfd, "memfd"}, Kind{Exports::dmabuf, "udmabuf"},
                           Kind{Exports::sysv, "sysv"}};

class Prober {
public:
    Prober(Connection& connection, xcb_window_t window, const WindowFormat& format, const ServerOffer& offer,
           const HeapTable& heaps, const RequirementsOptions& options)
        : probe_(connection, window, format, options.deadline),
          format_(format),
          offer_(offer),
          heaps_(heaps),
          options_(options) {}

    Result<Requirements> run();

private:
    ProbeKey key() const;
    Result<Requirements> measure_all(const Kind& by);
    Result<Exports> handles(std::string& from);
    Result<std::shared_ptr<Buffer>> make(const Kind& kind, const Layout& layout) const;
    Result<std::string> attempt(const Kind& kind, const Layout& layout);
    void fill_untried();
    Result<void> measure(const Kind& kind);
    void fix_stride();
    FormatModifier pair() const { return {format_.format, modifier::linear}; }
    std::uint32_t bytes() const { return format_.bits_per_pixel / 8U; }
    std::uint32_t pad() const { return std::max(format_.scanline_pad / 8U, bytes()); }
    std::string how() const {
        return fmt::format("{} by the X server", options_.use == Use::put ? "put" : "read through a pixmap");
    }

    ShmProbe probe_;
    WindowFormat format_;
    const ServerOffer& offer_;
    const HeapTable& heaps_;
    const RequirementsOptions& options_;
    Requirements party_;
    std::string untried_; ///< why we could not make the memory of the last attempt
};

Result<std::shared_ptr<Buffer>> Prober::make(const Kind& kind, const Layout& layout) const {
    auto heap = heaps_.find(kind.heap);
    if (!heap) return std::move(heap).error();
    auto memory = (*heap)->allocate(layout.size(), "share probe");
    if (!memory) return std::move(memory).error();
    return Buffer::create(*std::move(memory), 0, layout);
}

/// Errors: those of the connection, or with `untried_`: nothing could be tried.
Result<std::string> Prober::attempt(const Kind& kind, const Layout& layout) {
    untried_.clear();
    auto buffer = make(kind, layout);
    // Made here already, so that what comes below is the server's answer.
    std::optional<Result<DmabufHandle>> ours;
    if (buffer && kind.handle == Exports::dmabuf) ours = (*buffer)->export_dmabuf();
    if (buffer && (!ours || *ours)) return probe_.sees(*buffer, kind.handle, options_.use);
    auto why = buffer ? ours->error() : std::move(buffer).error();
    untried_ = why.text();
    return why;
}

/// What has no answer yet.
void Prober::fill_untried() {
    for (const Need need : {Need::stride, Need::offset, Need::height_padding, Need::max_picture})
        if (!find_known(party_, need))
            set_known(party_, need, ProbeState::unprobeable, fmt::format("{}{}", not_tried, untried_));
}

Result<Exports> Prober::handles(std::string& from) {
    Exports taken = Exports::none;
    auto layout =
        Layout::linear(options_.use == Use::put ? 16 : options_.width,
                       options_.use == Use::put ? 16 : options_.height, format_.format, {pad(), 1, 1, 1});
    if (!layout) return std::move(layout).error();
    for (const Kind& kind : kinds) {
        std::string why = "fds cannot be passed to this server";
        if (kind.handle == Exports::sysv || offer_.takes_fds()) {
            auto said = attempt(kind, *layout);
            if (!said && untried_.empty()) return std::move(said).error();
            why = said ? *std::move(said) : fmt::format("{}{}", not_tried, untried_);
        }
        if (why.empty()) taken = taken | kind.handle;
        from += fmt::format("{}{} {}", from.empty() ? "" : "; ", to_string(kind.handle),
                            why.empty() ? "taken" : "not: " + why);
    }
    return taken;
}

/// A pixmap's rows are as long as the server says: no other stride suits it, at this width.
void Prober::fix_stride() {
    const std::uint32_t stride = (options_.width * bytes() + pad() - 1) / pad() * pad();
    party_.stride_align = pad();
    party_.max_stride = stride;
    party_.min_width = party_.max_width = options_.width;
    party_.min_height = party_.max_height = options_.height;
    const auto from = fmt::format("the server pads rows to {} bits; a pixel of the last row was right",
                                  format_.scanline_pad);
    for (const Need need : {Need::stride, Need::max_stride, Need::picture, Need::max_picture})
        set_known(party_, need, ProbeState::good, from);
}

Result<void> Prober::measure(const Kind& kind) {
    const Attempt try_one = [&](const Layout& layout) { return attempt(kind, layout); };
    MeasureOptions options;
    options.deadline = options_.deadline;
    options.how = how();
    if (options_.use == Use::pixmap) {
        fix_stride();
        options.width = options_.width;
        options.height = options_.height;
        return measure_offset(party_, pair(), party_.max_stride, try_one, options);
    }
    if (auto measured = measure_layout(party_, pair(), try_one, options); !measured) return measured;
    party_.max_stride = std::min<std::uint64_t>(std::uint64_t{UINT16_MAX} * bytes(), UINT32_MAX);
    set_known(party_, Need::max_stride, ProbeState::unprobeable, "MIT-SHM counts 65535 pixels a row");
    return measure_extent(party_, pair(), {longest_side, longest_side, 1, 1}, try_one, options);
}

ProbeKey Prober::key() const {
    std::string size;
    if (options_.use == Use::pixmap) size = fmt::format(" {}x{}", options_.width, options_.height);
    return {"x11", offer_.vendor,
            fmt::format("{}; {} in {} bits, {}{}", offer_.release, fourcc_text(format_.format),
                        format_.bits_per_pixel, options_.use == Use::put ? "put" : "pixmap", size)};
}

Result<Requirements> Prober::run() {
    std::string from;
    auto taken = handles(from);
    if (!taken) return std::move(taken).error();
    const auto by = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const Kind& kind) { return contains(*taken, kind.handle); });
    if (by == kinds.end()) return make_error(Code::unsupported, "measuring what the X server takes", from);
    std::optional<Requirements> partial;
    auto party = measured_once(options_.cache, key(), options_.party, {}, options_.deadline,
                               [&]() -> Result<Requirements> {
                                   auto measured = measure_all(*by);
                                   if (!measured || untried_.empty()) return measured;
                                   partial = *std::move(measured);
                                   return make_error(Code::unavailable, "measuring what the X server takes",
                                                     "not all could be tried");
                               });
    if (partial) party = *std::move(partial); // an error is not kept
    if (!party) return party;
    party->handles = *taken;
    set_known(*party, Need::handle, ProbeState::good, from);
    return party;
}

Result<Requirements> Prober::measure_all(const Kind& by) {
    party_.party = options_.party;
    party_.cpu_read = Pattern::sequential;
    set_known(party_, Need::cpu_access, ProbeState::unprobeable, "MIT-SHM is read by the server's CPU");
    party_.max_bytes = UINT32_MAX;
    set_known(party_, Need::max_bytes, ProbeState::unprobeable, "MIT-SHM counts offsets in 32 bits");
    FormatChoice choice;
    choice.pair = pair();
    choice.state = ProbeState::good;
    choice.from = how();
    party_.formats = {choice};
    untried_.clear();
    if (auto measured = measure(by); !measured) {
        if (untried_.empty()) return std::move(measured).error();
        fill_untried();
    }
    return party_;
}

} // namespace

Result<Requirements> requirements_of(Connection& connection, xcb_window_t window, const HeapTable& heaps,
                                     const RequirementsOptions& options) {
    const char* const operation = "measuring what the X server takes";
    auto format = window_format(connection, window, options.deadline);
    if (!format) return std::move(format).error();
    auto offer = query_offer(connection, options.deadline);
    if (!offer) return std::move(offer).error();
    if (!offer->mit_shm || !offer->local)
        return make_error(Code::unsupported, operation,
                          offer->local ? "it has no MIT-SHM; pixels go through its socket"
                                       : "it is no local server; pixels go through its socket");
    if (options.use == Use::pixmap && !offer->shared_pixmaps)
        return make_error(Code::unsupported, operation, "it offers no pixmaps in shared memory");
    if (options.width == 0 || options.height == 0 || options.width > longest_side ||
        options.height > longest_side)
        return make_error(Code::invalid_argument, operation, "a pixmap has 1 to 32767 pixels each way");
    auto party = Prober(connection, window, *format, *offer, heaps, options).run();
    // What was detached and freed is gone when the server has answered.
    const auto done = connection.roundtrip(Deadline::in(100ms));
    if (!done && done.error().code == Code::disconnected && party) return done.error();
    return party;
}

} // namespace share::x11
