// SPDX-License-Identifier: MIT
#include <share/egl/prober.hpp>

#include <utility>

#include <fmt/format.h>

#include "pattern.hpp"
#include "probe_context.hpp"
#include "try_layout.hpp"

namespace share::egl {

namespace {

class Prober {
public:
    Prober(std::shared_ptr<Display> display, Heap* heap, std::string no_heap, ProbeContext context)
        : display_(std::move(display)),
          heap_(heap),
          no_heap_(std::move(no_heap)),
          context_(std::move(context)) {}

    ProbeResult probe(const AdvertisedFormat& pair) {
        ProbeResult result{pair.format, pair.modifier, ProbeState::unprobeable, pair.external_only, {}};
        if (pair.modifier != modifier::linear && pair.modifier != modifier::none) {
            result.reason = "only the driver can make such a tiling";
        } else if (!find_format(pair.format) || !pattern_known(pair.format)) {
            result.reason = "libshare cannot write this format";
        } else if (!heap_) {
            result.reason = no_heap_;
        } else {
            auto said = run(pair);
            if (said) result.state = said->empty() ? ProbeState::good : ProbeState::bad;
            result.reason = said ? *std::move(said) : fmt::format("{}{}", not_tried, said.error().text());
        }
        return result;
    }

private:
    // Empty when the right colours came back. Errors: we could not make the buffer.
    Result<std::string> run(const AdvertisedFormat& pair) {
        // 256: what AMD's devices want of linear strides; others want less.
        auto chosen = Layout::linear(pattern_size, pattern_size, pair.format, {256, 4096, 1, 4096});
        if (!chosen) return chosen.error().text();
        auto layout = Layout::describe(pattern_size, pattern_size, pair.format, pair.modifier,
                                       chosen->planes(), chosen->size());
        if (!layout) return layout.error().text();
        return try_layout(display_, *heap_, context_, *layout, pair.external_only);
    }

    std::shared_ptr<Display> display_;
    Heap* heap_;
    std::string no_heap_;
    ProbeContext context_;
};

} // namespace

Result<std::vector<ProbeResult>> probe_formats(const std::shared_ptr<Display>& display,
                                               const HeapTable& heaps,
                                               std::span<const AdvertisedFormat> pairs) {
    if (auto current = display->make_current(); !current) return std::move(current).error();
    // A software driver takes the memfd itself, hardware a udmabuf only.
    auto heap = display->is_software() ? heaps.first_of({"memfd", "udmabuf"}) : heaps.first_of({"udmabuf"});
    auto context = ProbeContext::create();
    if (!context) return std::move(context).error();
    Prober prober(display, heap ? *heap : nullptr, heap ? std::string() : heap.error().text(),
                  std::move(*context));
    std::vector<ProbeResult> results;
    results.reserve(pairs.size());
    for (const AdvertisedFormat& pair : pairs)
        results.push_back(prober.probe(pair));
    return results;
}

Result<std::vector<ProbeResult>> probe_formats(const std::shared_ptr<Display>& display,
                                               const HeapTable& heaps) {
    const auto pairs = display->advertised_formats();
    return probe_formats(display, heaps, pairs);
}

} // namespace share::egl
