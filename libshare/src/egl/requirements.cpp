// SPDX-License-Identifier: MIT
#include <share/egl/requirements.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <share/egl/devices.hpp>
#include <share/egl/prober.hpp>
#include <share/measure.hpp>

#include "try_layout.hpp"

namespace share::egl {

namespace {

/// "/dev/dri/renderD128", as devices.hpp names it; empty for software.
std::string node_of(const Display& display) {
    constexpr std::string_view device = "device ";
    const std::string& platform = display.platform();
    if (display.is_software() || !platform.starts_with(device)) return {};
    return platform.substr(device.size());
}

std::string label(const Display& display) {
    return fmt::format("sampled by {}", display.driver());
}

FormatChoice choice_of(const ProbeResult& result, const Display& display) {
    FormatChoice choice;
    choice.pair = {result.format, result.modifier};
    choice.state = result.state;
    choice.from = result.state == ProbeState::good ? label(display) : result.reason;
    // What was sampled right without a modifier were rows.
    choice.implicit_is_linear = result.modifier == modifier::none && result.state == ProbeState::good;
    return choice;
}

/// The pair to measure by: four bytes a pixel, sampled like any other.
const ProbeResult* reference(const std::vector<ProbeResult>& results) {
    const auto at = std::find_if(results.begin(), results.end(), [](const ProbeResult& result) {
        const FormatInfo* info = find_format(result.format);
        return result.state == ProbeState::good && info && !info->yuv && info->planes[0].block_bytes == 4;
    });
    return at == results.end() ? nullptr : &*at;
}

class Measurer {
public:
    Measurer(std::shared_ptr<Display> display, ProbeContext context, const ProbeResult& by,
             const RequirementsOptions& options)
        : display_(std::move(display)), context_(std::move(context)), by_(by), options_(options) {}

    /// Which of the heaps that become different kinds of handles the driver takes.
    Exports handles(const HeapTable& heaps, std::string& from) {
        Exports taken = Exports::none;
        const std::array kinds{std::pair{Exports::dmabuf, "udmabuf"}, std::pair{Exports::memfd, "memfd"}};
        for (const auto& [kind, name] : kinds) {
            // Hardware gets a memfd as a dma-buf only, which is the other kind.
            if (kind == Exports::memfd && !display_->is_software()) continue;
            auto heap = heaps.find(name);
            const auto said = heap ? attempt(**heap, plain()) : Result<std::string>(heap.error().text());
            if (!said) incomplete_ = true;
            const std::string why = said ? *said : fmt::format("{}{}", not_tried, said.error().text());
            if (why.empty()) taken = taken | kind;
            from += fmt::format("{}{} {}", from.empty() ? "" : "; ", to_string(kind),
                                why.empty() ? "taken" : "not: " + why);
        }
        return taken;
    }

    /// A CPU goes by addresses that are contiguous; of a dma-buf it must be seen.
    void judge_contiguity(Requirements& party, const HeapTable& heaps, Exports taken) {
        const auto note = [&](ProbeState state, std::string from) {
            set_known(party, Need::contiguity, state, std::move(from));
        };
        if (contains(taken, Exports::memfd))
            return note(ProbeState::good, "it maps the memfd, and reads by the CPU");
        auto memory = scattered_memory(heaps, plain().size());
        const auto said = memory
                              ? try_memory(display_, *std::move(memory), context_, plain(), by_.external_only)
                              : Result<std::string>(memory.error());
        if (!said) incomplete_ = true;
        if (said && said->empty()) return note(ProbeState::good, "scattered memory was sampled right");
        note(ProbeState::unprobeable,
             said ? "scattered memory was not sampled right: " + *said
                  : fmt::format("scattered memory {}{}", not_tried, said.error().text()));
    }

    /// A trial did not happen that may happen the next time.
    bool incomplete() const noexcept { return incomplete_; }

    Result<void> measure(Requirements& party, Heap& heap) {
        const Attempt attempt = [&](const Layout& layout) -> Result<std::string> {
            return this->attempt(heap, layout);
        };
        MeasureOptions how;
        how.deadline = options_.deadline;
        how.how = label(*display_);
        const FormatModifier pair{by_.format, by_.modifier};
        if (auto measured = measure_layout(party, pair, attempt, how); !measured) return measured;
        GLint most = 0;
        glGetIntegerv(GL_MAX_TEXTURE_SIZE, &most);
        ClaimedExtent claimed;
        claimed.max_width = claimed.max_height = static_cast<std::uint32_t>(std::max(most, 0));
        claimed.least_width = claimed.least_height = pattern_size; // or no quadrant would be left
        return measure_extent(party, pair, claimed, attempt, how);
    }

private:
    Result<std::string> attempt(Heap& heap, const Layout& layout) {
        return try_layout(display_, heap, context_, layout, by_.external_only);
    }
    Layout plain() const {
        const std::array planes{Plane{0, 256}};
        return *Layout::describe(pattern_size, pattern_size, by_.format, by_.modifier, planes, 65536);
    }

    std::shared_ptr<Display> display_;
    ProbeContext context_;
    const ProbeResult& by_;
    const RequirementsOptions& options_;
    bool incomplete_ = false;
};

/// What has no answer yet.
void fill_untried(Requirements& party, const std::string& why) {
    for (const Need need : {Need::stride, Need::offset, Need::height_padding, Need::max_picture})
        if (!find_known(party, need)) set_known(party, need, ProbeState::unprobeable, why);
}

void untried(Requirements& party, const std::string& why) {
    for (const Need need : {Need::stride, Need::offset, Need::height_padding, Need::max_picture, Need::handle,
                            Need::contiguity})
        set_known(party, need, ProbeState::unprobeable, why);
}

/// `incomplete`: a trial did not happen that may happen the next time.
Result<Requirements> measure(const std::shared_ptr<Display>& display, const HeapTable& heaps,
                             const RequirementsOptions& options, bool& incomplete) {
    auto results = probe_formats(display, heaps);
    if (!results) return std::move(results).error();
    auto context = ProbeContext::create();
    if (!context) return std::move(context).error();
    Requirements party;
    party.party = options.party;
    party.device = node_of(*display);
    for (const ProbeResult& result : *results)
        party.formats.push_back(choice_of(result, *display));
    incomplete = std::any_of(results->begin(), results->end(), [](const ProbeResult& result) {
        return result.state == ProbeState::unprobeable && result.reason.starts_with(not_tried);
    });
    if (display->is_software()) {
        party.cpu_read = Pattern::sequential;
        set_known(party, Need::cpu_access, ProbeState::good, display->driver() + " draws by the CPU");
    }
    party.handles = display->is_software() ? Exports::dmabuf | Exports::memfd : Exports::dmabuf;
    const ProbeResult* by = reference(*results);
    // A software driver takes the memfd itself, hardware a udmabuf only.
    auto heap = display->is_software() ? heaps.first_of({"memfd", "udmabuf"}) : heaps.first_of({"udmabuf"});
    if (!by || !heap) {
        untried(party,
                heap ? "no linear format of four bytes a pixel is sampled right" : heap.error().text());
        return party;
    }
    Measurer measurer(display, std::move(*context), *by, options);
    std::string from;
    if (const Exports taken = measurer.handles(heaps, from); taken != Exports::none) {
        party.handles = taken;
        set_known(party, Need::handle, ProbeState::good, from);
        measurer.judge_contiguity(party, heaps, taken);
    } else {
        set_known(party, Need::handle, ProbeState::unprobeable, from);
    }
    const auto measured = measurer.measure(party, **heap);
    incomplete = incomplete || measurer.incomplete() || !measured;
    if (!measured) fill_untried(party, fmt::format("{}{}", not_tried, measured.error().text()));
    return party;
}

ProbeKey key_of(const Display& display, const HeapTable& heaps) {
    std::string memory;
    for (const auto* name : {"udmabuf", "memfd"})
        if (heaps.find(name)) memory += fmt::format(" {}", name);
    return {"egl", display.driver(),
            fmt::format("{}; Linux {};{}", display.version(), kernel_release(), memory)};
}

} // namespace

Result<Requirements> requirements_of(const std::shared_ptr<Display>& display, const HeapTable& heaps,
                                     const RequirementsOptions& options) {
    std::optional<Requirements> partial;
    auto party = measured_once(options.cache, key_of(*display, heaps), options.party, node_of(*display),
                               options.deadline, [&]() -> Result<Requirements> {
                                   bool incomplete = false;
                                   auto measured = measure(display, heaps, options, incomplete);
                                   if (!measured || !incomplete) return measured;
                                   partial = *std::move(measured);
                                   return make_error(Code::unavailable, "measuring " + display->driver(),
                                                     "not all could be tried");
                               });
    if (partial) return *std::move(partial); // an error is not kept
    return party;
}

} // namespace share::egl
