// SPDX-License-Identifier: MIT
// Prober: what a driver really imports. For each advertised pair of format and modifier a buffer of our own
// is filled with known pixels, imported, sampled and compared.
//
// good: the right colours came back. bad: refused, or wrong colours; the reason says which. unprobeable: we
// cannot make such a buffer (tiled modifiers, formats unknown to Layout, no memory that becomes a dma-buf);
// passed on as the driver says it. Thread: the Display's; makes the display's context current.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/egl/display.hpp>
#include <share/heap.hpp>
#include <share/probe.hpp>

namespace share::egl {

struct ProbeResult {
    Fourcc format = 0;
    std::uint64_t modifier = 0;
    ProbeState state = ProbeState::unprobeable;
    bool external_only = false;
    std::string reason;
};

/// Probes `pairs`, each once, in their order. Buffers come from the first heap of `heaps` that this driver
/// can take. Errors: io (no context, or the probing shader does not compile); a pair that fails is no error.
SHARE_API Result<std::vector<ProbeResult>> probe_formats(const std::shared_ptr<Display>& display,
                                                         const HeapTable& heaps,
                                                         std::span<const AdvertisedFormat> pairs);
/// All that the driver advertises.
SHARE_API Result<std::vector<ProbeResult>> probe_formats(const std::shared_ptr<Display>& display,
                                                         const HeapTable& heaps);

} // namespace share::egl
