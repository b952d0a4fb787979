// SPDX-License-Identifier: MIT
// Self-probe: which formats a renderer draws right, found by having it draw four known colours of each.
// What did not come back right is not advertised. One thread: the compositor's.
#pragma once

#include <share/heap.hpp>

#include "render/renderer.hpp"

namespace compositor::render {

/// True for formats that the probe can write.
bool can_probe(share::Fourcc format);

/// Draws a small buffer of this format and modifier (linear or none) from memory of `heap` and looks.
/// Errors: what the renderer said, or `corrupt` with the wrong colour.
share::Result<void> probe_format(Renderer& renderer, Target& target, share::Heap& heap, share::Fourcc format,
                                 std::uint64_t modifier, bool dmabuf);

/// The side of the square target that probe_format() wants.
inline constexpr int probe_size = 16;

} // namespace compositor::render
