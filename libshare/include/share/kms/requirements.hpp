// SPDX-License-Identifier: MIT
// requirements_of(): a display of a DRM node as a party of negotiate(), measured.
//
// Framebuffers of our own memory are made (ADDFB2), and where nobody else is DRM master each is put to the
// display in a commit that the kernel only tests (DRM_MODE_ATOMIC_TEST_ONLY): formats, strides, where the
// picture begins, padding of rows, the largest sizes, and whether a picture may be smaller than the mode.
// While another program is master only ADDFB2 is asked: formats are then unprobeable at best. Contiguity is
// told by memory whose pages are out of order: refused, where contiguous memory is taken, means contiguous.
// Nothing is shown, and what is shown stays. Tiled modifiers are unprobeable.
// Thread: any, one at a time for one Device. Leaves nothing behind: no framebuffer, GEM handle, dma-buf, nor
// DRM master. Errors: unsupported (the node shows nothing, imports no dma-bufs), disconnected.
// Source: drm-kms.rst (atomic mode setting), drm_mode.h.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/heap.hpp>
#include <share/kms/device.hpp>
#include <share/probe_cache.hpp>
#include <share/requirements.hpp>

namespace share::kms {

struct RequirementsOptions {
    std::string party = "display";
    std::uint32_t connector = 0; ///< an id; 0: the first that is connected
    /// What is not done by then stays untried, and says so. Reading the modes of a display is not bounded:
    /// some take long (EDID).
    Deadline deadline = Deadline::in(std::chrono::seconds(2));
    /// Where results are kept, null: measured anew. The key: the driver; its version, kernel, the
    /// device's place on its bus, the display and its mode, the heaps that there were, and whether commits
    /// could be tested.
    const ProbeCache* cache = nullptr;
};

/// `heaps`: where trial memory comes from: udmabuf, then each that gives dma-bufs.
SHARE_API Result<Requirements> requirements_of(const std::shared_ptr<Device>& device, const HeapTable& heaps,
                                               const RequirementsOptions& options = {});

} // namespace share::kms
