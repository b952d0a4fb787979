// SPDX-License-Identifier: MIT
// try_layout(): one buffer of a layout, imported, sampled and compared. What every probe of this room comes
// down to. Thread: the Display's; its context must be current.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <share/egl/display.hpp>
#include <share/heap.hpp>
#include <share/layout.hpp>
#include <share/memory.hpp>
#include <share/result.hpp>

#include "probe_context.hpp"

namespace share::egl {

/// Empty when the right colours came back, else what went wrong. The layout's format has a pattern.
/// Errors: we could not make the buffer, which says nothing about the driver.
Result<std::string> try_layout(const std::shared_ptr<Display>& display, Heap& heap, ProbeContext& context,
                               const Layout& layout, bool external);
/// The same in that memory, of at least layout.size() bytes.
Result<std::string> try_memory(const std::shared_ptr<Display>& display, std::shared_ptr<Memory> memory,
                               ProbeContext& context, const Layout& layout, bool external);

/// Before the reason of what did not happen.
inline constexpr std::string_view not_tried = "could not be tried: ";

} // namespace share::egl
