// SPDX-License-Identifier: MIT
#include <share/wayland_client/requirements.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <share/buffer.hpp>
#include <share/handle.hpp>
#include <share/measure.hpp>

#include "path.hpp"

namespace share::wayland_client {

namespace {

constexpr std::uint32_t picture_size = 64; ///< both ways; small, and a size that any GPU has
constexpr auto reach = static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max());

bool ends_all(const Error& error) {
    return error.code == Code::disconnected || error.code == Code::timed_out;
}

constexpr std::string_view not_tried = "could not be tried: ";

/// Of memory: no word about the connection.
Error ours(Error error) {
    if (ends_all(error)) error.code = Code::unavailable;
    return error;
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
    Result<std::string> offer(const Result<std::shared_ptr<Memory>>& memory, Mechanism mechanism,
                              const Layout& layout, std::uint64_t modifier);
    Result<void> choose_way();
    Result<void> judge_contiguity(const Layout& layout, std::uint64_t modifier);
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

/// Errors: the connection's, which end all; others: we could not make the buffer.
Result<std::string> Prober::offer(const Way& way, const Layout& layout, std::uint64_t modifier) {
    auto heap = heaps_.find(way.heap);
    return offer(heap ? (*heap)->allocate(layout.size(), "share probe")
                      : Result<std::shared_ptr<Memory>>(heap.error()),
                 way.mechanism, layout, modifier);
}

Result<std::string> Prober::offer(const Result<std::shared_ptr<Memory>>& memory, Mechanism mechanism,
                                  const Layout& layout, std::uint64_t modifier) {
    if (!memory) return ours(memory.error());
    auto buffer = Buffer::create(*memory, 0, layout);
    if (!buffer) return ours(buffer.error());
    // Made here already, so that what comes below is the compositor's answer.
    std::optional<Result<DmabufHandle>> handle;
    if (mechanism != Mechanism::memfd) handle = (*buffer)->export_dmabuf();
    if (handle && !*handle) return ours(handle->error());
    Proxy<wl_shm_pool> none;
    auto made = make_wl_buffer(display_, *buffer, mechanism, modifier, none, options_.deadline);
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
                if (!said && ends_all(said.error())) return std::move(said).error();
                const bool taken = said && said->empty();
                if (taken) party_.handles = party_.handles | way.handle;
                if (taken && !way_) way_ = &way;
                from += fmt::format("{}{} of {} {}", from.empty() ? "" : "; ", to_string(way.handle),
                                    fourcc_text(pair.format),
                                    taken  ? "taken"
                                    : said ? "not: " + *said
                                           : fmt::format("{}{}", not_tried, said.error().text()));
            }
            if (auto judged = judge_contiguity(*layout, *modifier); !judged) return judged;
        }
    if (from.empty()) from = "it lists no format that could be tried in rows";
    if (!way_) {
        no_way_ = from;
        party_.handles = Exports::dmabuf; // what the protocol is for
    }
    set_known(party_, Need::handle, way_ ? ProbeState::good : ProbeState::unprobeable, from);
    if (!way_) set_known(party_, Need::contiguity, ProbeState::unprobeable, from);
    return {};
}

/// A CPU goes by addresses that are contiguous; of a dma-buf it must be seen.
Result<void> Prober::judge_contiguity(const Layout& layout, std::uint64_t modifier) {
    const auto note = [this](ProbeState state, std::string from) {
        set_known(party_, Need::contiguity, state, std::move(from));
        return Result<void>();
    };
    if (!way_) return {};
    if (contains(party_.handles, Exports::memfd))
        return note(ProbeState::good, "it took a memfd, which it reads by the CPU");
    const auto said = offer(scattered_memory(heaps_, layout.size()), Mechanism::dmabuf, layout, modifier);
    if (!said && ends_all(said.error())) return said.error();
    if (said && said->empty()) return note(ProbeState::good, "scattered memory was taken");
    return note(ProbeState::unprobeable,
                said ? "scattered memory was not taken: " + *said
                     : fmt::format("scattered memory {}{}", not_tried, said.error().text()));
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
    if (!said && ends_all(said.error())) return std::move(said).error();
    if (!said) {
        choice.from = fmt::format("{}{}", not_tried, said.error().text());
        return choice;
    }
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
            if (std::any_of(same, party_.formats.end(), [&](const FormatChoice& have) {
                    return have.pair == pair && have.device == device;
                }))
                continue;
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
    auto measured = measure_layout(
        party_, pair, [&](const Layout& layout) { return offer(*way_, layout, pair.modifier); }, how);
    if (measured || ends_all(measured.error())) return measured;
    for (const Need need : {Need::stride, Need::offset, Need::height_padding})
        if (!find_known(party_, need))
            set_known(party_, need, ProbeState::unprobeable,
                      fmt::format("{}{}", not_tried, measured.error().text()));
    return {};
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
