// SPDX-License-Identifier: MIT
// Timeline: a DRM timeline sync object, points of which are fences that need not exist yet.
//
// What Wayland's linux-drm-syncobj and Vulkan share between processes: an fd once, then a number per frame.
// The number grows; a point is done when its fence is, and so are all before it. Owner: whoever holds it.
// Thread: any. Errors: a point may never come, so every wait has a deadline.
// Source: drm-uapi / drm_syncobj.c ("DRM synchronisation objects"), drm.h (DRM_IOCTL_SYNCOBJ_*).
#pragma once

#include <cstdint>
#include <memory>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/fence.hpp>
#include <share/kms/device.hpp>

namespace share::kms {

class SHARE_API Timeline {
public:
    /// Errors: unsupported (the driver has no timeline sync objects), io.
    static Result<Timeline> create(std::shared_ptr<Device> device);
    /// A peer's; the fd is borrowed. Errors: unsupported; invalid_argument (no sync object).
    static Result<Timeline> import(std::shared_ptr<Device> device, int fd);
    Timeline(Timeline&& other) noexcept;
    Timeline& operator=(Timeline&& other) noexcept;
    ~Timeline();

    /// For a peer, which sees all points of both sides from then on.
    Result<UniqueFd> export_fd() const;

    /// The last point that is done.
    Result<std::uint64_t> value() const;
    /// The point is done now, by the CPU. Errors: as the kernel; a lower point than the last does nothing.
    Result<void> signal(std::uint64_t point);
    /// The point will be done when `fence` is.
    Result<void> add_fence(std::uint64_t point, const Fence& fence);
    /// The point's fence. Errors: unavailable (nobody has given it one yet: wait_submitted() first).
    Result<Fence> fence(std::uint64_t point) const;

    /// Until somebody has given the point a fence. Errors: timed_out.
    Result<void> wait_submitted(std::uint64_t point, Deadline deadline) const;
    /// Until the point is done, submitted or not. Errors: timed_out.
    Result<void> wait(std::uint64_t point, Deadline deadline) const;
    /// An eventfd that becomes readable when the point is done, or (`submitted`) has a fence: for event
    /// loops. Errors: unsupported (before Linux 6.6).
    Result<UniqueFd> notify(std::uint64_t point, bool submitted = false) const;

private:
    Timeline(std::shared_ptr<Device> device, std::uint32_t handle) noexcept;
    Result<void> wait_for(std::uint64_t point, unsigned flags, Deadline deadline, const char* what) const;
    std::shared_ptr<Device> device_; ///< null: moved from
    std::uint32_t handle_ = 0;
};

} // namespace share::kms
