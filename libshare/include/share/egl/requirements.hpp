// SPDX-License-Identifier: MIT
// requirements_of(): an EGL display as a party of negotiate(), measured.
//
// Formats as prober.hpp finds them; then, with the first good one of four bytes a pixel: strides, where the
// picture begins in its memory, padding of rows, the largest size that is claimed (GL_MAX_TEXTURE_SIZE), and
// which kinds of memory are taken. Each by a buffer of our own that is filled, imported, sampled and
// compared. In this process: every layout lies inside its memory by Layout's arithmetic, which is what
// software drivers need in order not to crash; whoever does not trust a driver calls it in a child, as
// share-info does. Tiled modifiers stay unprobeable. Thread: the Display's; makes the display's context
// current. Leaves nothing behind: no image, fd, memory. Errors: io (no context, or the probing shader does
// not compile). A driver's refusal is no error. With no memory that the driver takes, all is unprobeable.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/egl/display.hpp>
#include <share/heap.hpp>
#include <share/probe_cache.hpp>
#include <share/requirements.hpp>

namespace share::egl {

struct RequirementsOptions {
    std::string party = "renderer";
    /// What is not done by then stays untried, and says so; formats are probed first, all of them.
    Deadline deadline = Deadline::in(std::chrono::seconds(2));
    /// Where results are kept, null: measured anew. The key: GL_RENDERER; GL_VERSION, kernel and the
    /// kinds of memory that there were.
    const ProbeCache* cache = nullptr;
};

SHARE_API Result<Requirements> requirements_of(const std::shared_ptr<Display>& display,
                                               const HeapTable& heaps,
                                               const RequirementsOptions& options = {});

} // namespace share::egl
