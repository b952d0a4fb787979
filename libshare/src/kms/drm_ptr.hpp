// SPDX-License-Identifier: MIT
// DrmPtr: what libdrm allocated, with libdrm's own function to free it.
#pragma once

#include <memory>

#include <xf86drm.h>
#include <xf86drmMode.h>

namespace share::kms {

struct DrmDeleter {
    void operator()(drmVersion* p) const noexcept { drmFreeVersion(p); }
    void operator()(drmModeRes* p) const noexcept { drmModeFreeResources(p); }
    void operator()(drmModePlaneRes* p) const noexcept { drmModeFreePlaneResources(p); }
    void operator()(drmModePlane* p) const noexcept { drmModeFreePlane(p); }
    void operator()(drmModeCrtc* p) const noexcept { drmModeFreeCrtc(p); }
    void operator()(drmModeConnector* p) const noexcept { drmModeFreeConnector(p); }
    void operator()(drmModeObjectProperties* p) const noexcept { drmModeFreeObjectProperties(p); }
    void operator()(drmModePropertyRes* p) const noexcept { drmModeFreeProperty(p); }
    void operator()(drmModePropertyBlobRes* p) const noexcept { drmModeFreePropertyBlob(p); }
    void operator()(drmModeAtomicReq* p) const noexcept { drmModeAtomicFree(p); }
};
template<class T>
using DrmPtr = std::unique_ptr<T, DrmDeleter>;

} // namespace share::kms
