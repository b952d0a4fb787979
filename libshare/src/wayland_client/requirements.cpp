// SPDX-License-Identifier: MIT
#include <share/wayland_client/requirements.hpp>

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include <share/measure.hpp>

#include "path.hpp"

namespace share::wayland_client {

namespace {

constexpr std::uint32_t picture_size = 64; ///< both ways; small, and a size that any GPU has
constexpr auto reach = static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max());

bool ends_all(const Error& error) {
    return error.code == Code::disconnected || error.code == Code::timed_out;
}

class Prober {
public:
    Prober(Display& display, const HeapTable& heaps, const RequirementsOptions& options)
        : display_(display), offer_(*display.dmabuf()), heaps_(heaps), options_(options) {}

    Result<Requirements> run();

private:
    /// One way of handing memory over.
    struct Way {
        const char* heap;
        Exports handle;
        Mechanism mechanism;
    };
    static constexpr std::array ways{Way{"udmabuf", Exports::dmabuf, Mechanism::udmabuf},
                                     Way{"memfd", Exports::memfd, Mechanism::memfd}};

    Result<std::string> offer(const Way& way, const Layout& layout, std::uint64_t modifier);
    Result<void> choose_way();
    Result<FormatChoice> choice_of(const FormatModifier& pair);
    Result<void> add_formats();
    Result<void> measure();

    Display& display_;
    const DmabufOffer& offer_;
    const HeapTable& heaps_;
    const RequirementsOptions& options_;
    const Way* way_ = nullptr;
    std::string no_way_;
    Requirements party_;
};

Result<std::string> Prober::offer(const Way& way, const Layout& layout, std::uint64_t modifier) {
    auto heap = heaps_.find(way.heap);
    if (!heap) return heap.error().text();
    auto memory = (*heap)->allocate(layout.size(), "share probe");
    if (!memory) return memory.error().text();
    auto buffer = Buffer::create(*std::move(memory), 0, layout);
    if (!buffer) return buffer.error().text();
    Proxy<wl_shm_pool> none;
    auto made = make_wl_buffer(display_, *buffer, way.mechanism, modifier, none, options_.deadline);
    if (made) return std::string();
    if (ends_all(made.error())) return std::move(made).error();
    return made.error().detail;
}

/// The kinds of handles, by the first listed format that rows can be made of.
Result<void> Prober::choose_way() {
    std::string from;
    party_.handles = Exports::none;
    for (const auto& tranche : offer_.tranches)
        for (const auto& pair : tranche.formats) {
            const FormatInfo* info = find_format(pair.format);
            const auto modifier = offer_.linear_modifier(pair.format);
            if (!info || info->plane_count != 1 || !modifier || !from.empty()) continue;
            auto layout = Layout::linear(picture_size, picture_size, pair.format, {256, 4096, 1, 4096});
            if (!layout) continue;
            for (const Way& way : ways) {
                auto said = offer(way, *layout, *modifier);
                if (!said) return std::move(said).error();
                if (said->empty()) party_.handles = party_.handles | way.handle;
                if (said->empty() && !way_) way_ = &way;
                from += fmt::format("{}{} of {} {}", from.empty() ? "" : "; ", to_string(way.handle),
                                    fourcc_text(pair.format), said->empty() ? "taken" : "not: " + *said);
            }
        }
    if (from.empty()) from = "it lists no format that could be tried in rows";
    if (!way_) {
        no_way_ = from;
        party_.handles = Exports::dmabuf; // what the protocol is for
    }
    set_known(party_, Need::handle, way_ ? ProbeState::good : ProbeState::unprobeable, from);
    set_known(party_, Need::contiguity, way_ ? ProbeState::good : ProbeState::unprobeable,
              way_ ? "scattered memory was taken" : from);
    return {};
}

Result<FormatChoice> Prober::choice_of(const FormatModifier& pair) {
    FormatChoice choice;
    choice.pair = pair;
    const bool rows = pair.modifier == modifier::linear || pair.modifier == modifier::none;
    auto layout = rows ? Layout::linear(picture_size, picture_size, pair.format, {256, 4096, 1, 4096})
                       : Result<Layout>(make_error(Code::unsupported, "tiling", "only its driver tiles so"));
    if (!layout || !way_) {
        choice.from = !layout ? layout.error().detail : no_way_;
        return choice;
    }
    auto said = offer(*way_, *layout, pair.modifier);
    if (!said) return std::move(said).error();
    choice.state = said->empty() ? ProbeState::good : ProbeState::bad;
    choice.from = said->empty() ? fmt::format("a {} of it was accepted", to_string(way_->handle)) : *said;
    // Whoever reads a memfd reads it by the CPU, and has no other layout than rows.
    choice.implicit_is_linear =
        pair.modifier == modifier::none && said->empty() && contains(party_.handles, Exports::memfd);
    return choice;
}

Result<void> Prober::add_formats() {
    for (const auto& tranche : offer_.tranches) {
        std::string device;
        if (tranche.target_device && tranche.target_device != offer_.main_device)
            device = device_node(*tranche.target_device);
        for (const auto& pair : tranche.formats) {
            const auto same = std::find_if(party_.formats.begin(), party_.formats.end(),
                                           [&](const FormatChoice& have) { return have.pair == pair; });
            // Asked once: the first place in its list counts, and for whom it prefers it.
            if (same != party_.formats.end() && same->device == device) continue;
            auto choice = same != party_.formats.end() ? Result<FormatChoice>(*same) : choice_of(pair);
            if (!choice) return std::move(choice).error();
            choice->device = device;
            party_.formats.push_back(*std::move(choice));
        }
    }
    return {};
}

Result<void> Prober::measure() {
    const auto by =
        std::find_if(party_.formats.begin(), party_.formats.end(), [](const FormatChoice& choice) {
            const FormatInfo* info = find_format(choice.pair.format);
            return choice.state == ProbeState::good && info && info->plane_count == 1 && !info->yuv &&
                   info->planes[0].block_bytes == 4;
        });
    if (by == party_.formats.end()) {
        for (const Need need : {Need::stride, Need::offset, Need::height_padding})
            set_known(party_, need, ProbeState::unprobeable,
                      way_ ? "no format of four bytes a pixel was accepted" : no_way_);
        return {};
    }
    MeasureOptions how;
    how.deadline = options_.deadline;
    how.how = "accepted by the compositor, not shown";
    const FormatModifier pair = by->pair;
    return measure_layout(
        party_, pair, [&](const Layout& layout) { return offer(*way_, layout, pair.modifier); }, how);
}

Result<Requirements> Prober::run() {
    party_.party = options_.party;
    if (offer_.main_device) party_.device = device_node(*offer_.main_device);
    if (auto chosen = choose_way(); !chosen) return std::move(chosen).error();
    if (auto added = add_formats(); !added) return std::move(added).error();
    if (auto measured = measure(); !measured) return std::move(measured).error();
    if (contains(party_.handles, Exports::memfd)) {
        party_.cpu_read = Pattern::sequential;
        set_known(party_, Need::cpu_access, ProbeState::good,
                  "it took a memfd for a dma-buf: it is software");
    }
    // What was destroyed is gone when it has answered.
    if (auto done = display_.sync(options_.deadline); !done) return std::move(done).error();
    return party_;
}

} // namespace

Result<Requirements> dmabuf_requirements(Display& display, const HeapTable& heaps,
                                         const RequirementsOptions& options) {
    if (auto gone = display.error()) return *std::move(gone);
    if (!display.dmabuf())
        return make_error(Code::unsupported, "measuring what the compositor takes by linux-dmabuf",
                          display.dmabuf_reason());
    return Prober(display, heaps, options).run();
}

Result<Requirements> shm_requirements(const Display& display, const RequirementsOptions& options) {
    if (auto gone = display.error()) return *std::move(gone);
    if (display.shm().formats.empty())
        return make_error(Code::unsupported, "finding out what the compositor takes by wl_shm",
                          "it has no wl_shm, or lists no format");
    const std::string word = "wl_shm lists it; a wrong one would end the connection, so none was tried";
    Requirements party;
    party.party = options.party;
    for (const Fourcc format : display.shm().formats) {
        FormatChoice choice;
        choice.pair = {format, modifier::linear};
        choice.from = word;
        const FormatInfo* info = find_format(format);
        if (info && info->plane_count > 1) {
            choice.state = ProbeState::bad;
            choice.from = "compositors disagree on where wl_shm's later planes are";
        }
        party.formats.push_back(std::move(choice));
    }
    party.handles = Exports::memfd;
    set_known(party, Need::handle, ProbeState::unprobeable, "wl_shm is a file that is mapped");
    party.cpu_read = Pattern::sequential;
    set_known(party, Need::cpu_access, ProbeState::unprobeable, "wl_shm is read by the CPU");
    party.max_bytes = party.max_stride = reach;
    set_known(party, Need::max_bytes, ProbeState::unprobeable, "wl_shm counts in 31 bits");
    set_known(party, Need::max_stride, ProbeState::unprobeable, "wl_shm counts in 31 bits");
    return party;
}

} // namespace share::wayland_client
