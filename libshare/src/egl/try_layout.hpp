// SPDX-License-Identifier: MIT
// try_layout(): one buffer of a layout, imported, sampled and compared. What every probe of this room comes
// down to. Thread: the Display's; its context must be current.
#pragma once

#include <string>

#include <share/egl/display.hpp>
#include <share/heap.hpp>

#include "probe_context.hpp"

namespace share::egl {

/// Empty when the right colours came back, else what went wrong. The layout's format has a pattern.
std::string try_layout(const std::shared_ptr<Display>& display, Heap& heap, ProbeContext& context,
                       const Layout& layout, bool external);

} // namespace share::egl
