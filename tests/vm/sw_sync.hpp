// SPDX-License-Identifier: MIT
// SwSync: a timeline of fences that the test itself signals, by debugfs' sync/sw_sync. Source: the kernel's
// tools/testing/selftests/sync/sw_sync.h.
#pragma once

#include <fcntl.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <sys/ioctl.h>

#include <cstdint>
#include <stdexcept>

#include <share/fence.hpp>

namespace testing {

class SwSync {
public:
    SwSync() : timeline_(open("/sys/kernel/debug/sync/sw_sync", O_RDWR | O_CLOEXEC)) {
        if (!timeline_) throw std::runtime_error("no /sys/kernel/debug/sync/sw_sync");
    }
    /// Done when signal() has been called `point` times; with an error when the timeline is destroyed before.
    share::Fence fence(std::uint32_t point = 1) const {
        struct {
            __u32 value;
            char name[32];
            __s32 fence;
        } request{point, "libshare test", -1};
        if (ioctl(timeline_.get(), _IOWR('W', 0, decltype(request)), &request) != 0)
            throw std::runtime_error("SW_SYNC_IOC_CREATE_FENCE");
        return share::Fence::from_sync_file(share::UniqueFd(request.fence)).value();
    }
    void signal(std::uint32_t points = 1) const {
        if (ioctl(timeline_.get(), _IOW('W', 1, __u32), &points) != 0)
            throw std::runtime_error("SW_SYNC_IOC_INC");
    }

private:
    share::UniqueFd timeline_;
};

} // namespace testing
