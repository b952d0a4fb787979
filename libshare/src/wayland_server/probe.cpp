// SPDX-License-Identifier: MIT
#include <share/wayland_server/probe.hpp>

#include <fmt/format.h>

namespace share::wayland_server {

namespace {

constexpr std::uint32_t probe_size = 64;

/// A buffer of ours in this format, with the modifier said as the candidate says it.
Result<std::shared_ptr<Buffer>> make_buffer(FormatModifier pair, Heap& heap) {
    // 256: the widest stride alignment that drivers in use ask for; a probe must not fail for less.
    auto linear =
        Layout::linear(probe_size, probe_size, pair.format, {.stride_align = 256, .size_align = 4096});
    if (!linear) return std::move(linear).error();
    auto memory = heap.allocate(linear->size(), "format probe");
    if (!memory) return std::move(memory).error();
    auto layout = Layout::describe(probe_size, probe_size, pair.format, pair.modifier, linear->planes(),
                                   (*memory)->size());
    if (!layout) return std::move(layout).error();
    return Buffer::create(std::move(*memory), 0, *layout);
}

ProbeResult probe(FormatModifier pair, Heap& heap, ImportTrial& trial) {
    if (!find_format(pair.format))
        return {pair, ProbeState::bad,
                fmt::format("{} is unknown to Layout, which could not check it", fourcc_text(pair.format))};
    if (pair.modifier != modifier::linear && pair.modifier != modifier::none)
        return {pair, ProbeState::unprobeable,
                fmt::format("only the driver of {} can make such a buffer", modifier_text(pair.modifier))};
    auto buffer = make_buffer(pair, heap);
    if (!buffer) // not the importer's fault: nothing was measured
        return {pair, ProbeState::unprobeable, "no probe buffer: " + buffer.error().text()};
    if (auto result = trial.try_import(*buffer); !result)
        return {pair, ProbeState::bad, result.error().text()};
    return {pair, ProbeState::good, {}};
}

} // namespace

ImportTrial::~ImportTrial() = default;

std::vector<ProbeResult> probe_formats(std::span<const FormatModifier> candidates, Heap& heap,
                                       ImportTrial& trial) {
    std::vector<ProbeResult> results;
    results.reserve(candidates.size());
    for (const auto& pair : candidates)
        results.push_back(probe(pair, heap, trial));
    return results;
}

std::vector<FormatModifier> offered(std::span<const ProbeResult> results) {
    std::vector<FormatModifier> pairs;
    for (const auto& result : results)
        if (is_offered(result.state)) pairs.push_back(result.pair);
    return pairs;
}

} // namespace share::wayland_server
