// SPDX-License-Identifier: MIT
// The choice among the paths, each tried with a real buffer.
#include "path.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace share::wayland_client {

namespace {

bool ends_everything(const Error& error) {
    return error.code == Code::disconnected || error.code == Code::timed_out ||
           error.code == Code::out_of_memory;
}

/// One try of all paths, and what it learned.
class Chooser {
public:
    Chooser(Display& display, const DmabufOffer* offer, const std::string& no_dmabuf, const HeapTable& heaps,
            const SwapchainOptions& options, Deadline deadline)
        : display_(display),
          offer_(offer),
          no_dmabuf_(no_dmabuf),
          heaps_(heaps),
          options_(options),
          deadline_(deadline) {}

    /// Errors: unsupported when this format has no path; everything else ends the search.
    Result<ChosenPath> try_format(Fourcc format);
    const std::vector<Ledger::Note>& refusals() const noexcept { return refusals_; }

private:
    Result<Pool> make_pool(const Layout& layout) const;
    Result<Heap*> pick_heap() const;
    /// Nothing when the path cannot be taken (the reason is in refusals_).
    Result<std::optional<ChosenPath>> try_path(Mechanism mechanism, const Layout& layout);
    std::string obstacle(Mechanism mechanism, const Layout& layout) const;
    void refuse(Mechanism mechanism, Fourcc format, std::string why) {
        refusals_.push_back({std::string(to_string(mechanism)),
                             fmt::format("not taken for {}: {}", fourcc_text(format), why)});
    }

    Display& display_;
    const DmabufOffer* offer_;
    const std::string& no_dmabuf_;
    const HeapTable& heaps_;
    const SwapchainOptions& options_;
    Deadline deadline_;
    std::vector<Ledger::Note> refusals_;
};

Result<Heap*> Chooser::pick_heap() const {
    if (!options_.heap.empty()) return heaps_.find(options_.heap);
    return heaps_.first_of({"udmabuf", "memfd"});
}

Result<Pool> Chooser::make_pool(const Layout& layout) const {
    auto heap = pick_heap();
    if (!heap) return std::move(heap).error();
    // wl_shm pools and X segments count in 31 bits; all slots lie in one file.
    constexpr std::uint64_t reach = std::numeric_limits<std::int32_t>::max();
    const auto slot = checked_align(layout.size(), (*heap)->traits().page_size).value_or(reach);
    const auto slots = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.max_slots, reach / slot));
    if (slots < 2)
        return make_error(Code::limit,
                          fmt::format("making a stream of {}x{} frames", layout.width(), layout.height()),
                          "two frames must fit into 2 GiB");
    return Pool::create(**heap, layout, slots, options_.name);
}

std::string Chooser::obstacle(Mechanism mechanism, const Layout& layout) const {
    const auto format = layout.format();
    if (mechanism == Mechanism::wl_shm) {
        if (!display_.impl().shm) return "the compositor has no wl_shm";
        if (!display_.shm().offers(format)) return "wl_shm does not offer the format";
        if (layout.plane_count() != 1) return "wl_shm buffers of several planes are not interchangeable";
        return {};
    }
    if (!offer_) return no_dmabuf_;
    if (!offer_->linear_modifier(format))
        return fmt::format("linux-dmabuf (version {}) offers the format neither linear nor without modifier",
                           offer_->version);
    if (mechanism == Mechanism::udmabuf && options_.heap.empty())
        if (auto heap = heaps_.find("udmabuf"); !heap) return heap.error().text();
    return {};
}

Result<std::optional<ChosenPath>> Chooser::try_path(Mechanism mechanism, const Layout& layout) {
    const auto format = layout.format();
    if (auto why = obstacle(mechanism, layout); !why.empty()) {
        refuse(mechanism, format, std::move(why));
        return std::optional<ChosenPath>();
    }
    auto pool = make_pool(layout);
    if (!pool) return std::move(pool).error();
    Path path{*std::move(pool), mechanism, modifier::linear, {}, {}};
    if (mechanism != Mechanism::wl_shm) path.modifier = *offer_->linear_modifier(format);
    const bool foreign_dmabuf = mechanism == Mechanism::udmabuf && path.pool.memory()->heap() != "udmabuf";
    if (foreign_dmabuf) path.mechanism = Mechanism::dmabuf;
    auto first = make_wl_buffer(display_, path, 0, deadline_);
    // A wl_shm pool is not answered: what is wrong with it ends the connection, so ask.
    if (first && mechanism == Mechanism::wl_shm)
        if (auto taken = display_.sync(deadline_); !taken) return std::move(taken).error();
    if (first) return std::optional(ChosenPath{std::move(path), *std::move(first)});
    if (ends_everything(first.error())) return std::move(first).error();
    refuse(mechanism, format, first.error().text());
    return std::optional<ChosenPath>();
}

Result<ChosenPath> Chooser::try_format(Fourcc format) {
    auto layout = Layout::linear(options_.width, options_.height, format, options_.layout_rules);
    if (!layout) return std::move(layout).error();
    for (const auto mechanism : {Mechanism::udmabuf, Mechanism::memfd, Mechanism::wl_shm}) {
        auto chosen = try_path(mechanism, *layout);
        if (!chosen) return std::move(chosen).error();
        if (*chosen) return **std::move(chosen);
    }
    return make_error(Code::unsupported, "finding a path for " + fourcc_text(format), "none was accepted");
}

std::string taken_text(const Path& path) {
    const auto& layout = path.pool.layout();
    const auto what = fmt::format("{} {}x{}", fourcc_text(layout.format()), layout.width(), layout.height());
    switch (path.mechanism) {
    case Mechanism::wl_shm:
        return what + ": the stream's memfd is a wl_shm pool; no copy on our side";
    case Mechanism::memfd:
        return fmt::format("{} ({}): the compositor took the stream's memfd as a dma-buf", what,
                           modifier_text(path.modifier));
    default:
        return fmt::format("{} ({}): the compositor took a real dma-buf of the frame's memory", what,
                           modifier_text(path.modifier));
    }
}

} // namespace

Result<ChosenPath> choose_path(Display& display, const DmabufOffer* offer, const std::string& no_dmabuf,
                               const HeapTable& heaps, const SwapchainOptions& options, Ledger& ledger,
                               Deadline deadline) {
    const auto operation =
        fmt::format("finding a path for {}x{} frames to the compositor", options.width, options.height);
    if (options.formats.empty())
        return make_error(Code::invalid_argument, operation, "the producer names no format");
    Chooser chooser(display, offer, no_dmabuf, heaps, options, deadline);
    for (const auto format : options.formats) {
        auto chosen = chooser.try_format(format);
        if (!chosen && chosen.error().code == Code::unsupported) continue;
        if (!chosen) return chosen;
        for (const auto& refusal : chooser.refusals())
            ledger.note(refusal.about, refusal.text);
        chosen->path.reason = taken_text(chosen->path);
        ledger.note(std::string(to_string(chosen->path.mechanism)), "taken for " + chosen->path.reason);
        return chosen;
    }
    std::string reasons;
    for (const auto& refusal : chooser.refusals())
        reasons += fmt::format("{}{} {}", reasons.empty() ? "" : "; ", refusal.about, refusal.text);
    return make_error(Code::unsupported, operation, reasons);
}

} // namespace share::wayland_client
