// SPDX-License-Identifier: MIT
#include <share/kms/timeline.hpp>

#include <cerrno>
#include <chrono>
#include <utility>

#include <sys/eventfd.h>

#include <xf86drm.h>

#include <fmt/format.h>

// libdrm's own header may be older than this ioctl (Linux 6.6).
#ifndef DRM_IOCTL_SYNCOBJ_EVENTFD
struct drm_syncobj_eventfd {
    __u32 handle;
    __u32 flags;
    __u64 point;
    __s32 fd;
    __u32 pad;
};
#define DRM_IOCTL_SYNCOBJ_EVENTFD DRM_IOWR(0xCF, struct drm_syncobj_eventfd)
#endif
#ifndef DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE
#define DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE (1 << 2)
#endif

namespace share::kms {
namespace {

std::string on(const Device& device) {
    return fmt::format("{} ({})", device.node(), device.driver());
}

Error refused(const std::shared_ptr<Device>& device, std::string what, const char* request) {
    return error_from_errno(errno, fmt::format("{} on {}", what, on(*device)), request);
}

Result<void> check_supported(const Device& device) {
    std::uint64_t has = 0;
    if (drmGetCap(device.fd(), DRM_CAP_SYNCOBJ_TIMELINE, &has) == 0 && has != 0) return {};
    return make_error(Code::unsupported, fmt::format("making a timeline on {}", on(device)),
                      "its driver has no timeline sync objects; use sync_files (share::Fence)");
}

/// A binary sync object for the length of a call: points reach sync_files only through one.
class Carrier {
public:
    explicit Carrier(int fd) noexcept : fd_(fd) {}
    Carrier(const Carrier&) = delete;
    Carrier& operator=(const Carrier&) = delete;
    ~Carrier() {
        if (handle_ != 0) drmSyncobjDestroy(fd_, handle_);
    }
    bool create() noexcept { return drmSyncobjCreate(fd_, 0, &handle_) == 0; }
    std::uint32_t get() const noexcept { return handle_; }

private:
    int fd_;
    std::uint32_t handle_ = 0;
};

/// The kernel's clock is the same CLOCK_MONOTONIC; 0 and what lies behind make it look once.
std::int64_t absolute_ns(Deadline deadline) noexcept {
    using namespace std::chrono;
    if (deadline.passed()) return 0;
    return duration_cast<nanoseconds>(deadline.when().time_since_epoch()).count();
}

} // namespace

Timeline::Timeline(std::shared_ptr<Device> device, std::uint32_t handle) noexcept
    : device_(std::move(device)), handle_(handle) {}
Timeline::Timeline(Timeline&& other) noexcept
    : device_(std::exchange(other.device_, nullptr)), handle_(other.handle_) {}
Timeline& Timeline::operator=(Timeline&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
}
Timeline::~Timeline() {
    if (device_) drmSyncobjDestroy(device_->fd(), handle_);
}

Result<Timeline> Timeline::create(std::shared_ptr<Device> device) {
    if (auto ok = check_supported(*device); !ok) return std::move(ok).error();
    std::uint32_t handle = 0;
    if (drmSyncobjCreate(device->fd(), 0, &handle) != 0)
        return refused(device, "making a timeline", "DRM_IOCTL_SYNCOBJ_CREATE");
    return Timeline(std::move(device), handle);
}

Result<Timeline> Timeline::import(std::shared_ptr<Device> device, int fd) {
    if (auto ok = check_supported(*device); !ok) return std::move(ok).error();
    std::uint32_t handle = 0;
    if (drmSyncobjFDToHandle(device->fd(), fd, &handle) != 0) {
        if (errno == EINVAL || errno == EBADF || errno == ENOENT)
            return make_error(Code::invalid_argument, fmt::format("importing fd {} on {}", fd, on(*device)),
                              "it is not a DRM sync object");
        return refused(device, fmt::format("importing timeline fd {}", fd), "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE");
    }
    return Timeline(std::move(device), handle);
}

Result<UniqueFd> Timeline::export_fd() const {
    int fd = -1;
    if (drmSyncobjHandleToFD(device_->fd(), handle_, &fd) != 0)
        return refused(device_, "exporting a timeline", "DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD");
    return UniqueFd(fd);
}

Result<std::uint64_t> Timeline::value() const {
    std::uint32_t handle = handle_;
    std::uint64_t point = 0;
    if (drmSyncobjQuery(device_->fd(), &handle, &point, 1) != 0)
        return refused(device_, "asking a timeline", "DRM_IOCTL_SYNCOBJ_QUERY");
    return point;
}

Result<void> Timeline::signal(std::uint64_t point) {
    if (drmSyncobjTimelineSignal(device_->fd(), &handle_, &point, 1) != 0)
        return refused(device_, fmt::format("signalling point {} of a timeline", point),
                       "DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL");
    return {};
}

Result<void> Timeline::add_fence(std::uint64_t point, const Fence& fence) {
    if (fence.fd() < 0) return signal(point);
    const auto what = [&] { return fmt::format("giving point {} of a timeline a fence", point); };
    Carrier carrier(device_->fd());
    if (!carrier.create()) return refused(device_, what(), "DRM_IOCTL_SYNCOBJ_CREATE");
    if (drmSyncobjImportSyncFile(device_->fd(), carrier.get(), fence.fd()) != 0)
        return refused(device_, what(), "importing the sync_file");
    if (drmSyncobjTransfer(device_->fd(), handle_, point, carrier.get(), 0, 0) != 0)
        return refused(device_, what(), "DRM_IOCTL_SYNCOBJ_TRANSFER");
    return {};
}

Result<Fence> Timeline::fence(std::uint64_t point) const {
    const auto what = [&] { return fmt::format("taking the fence of point {} of a timeline", point); };
    Carrier carrier(device_->fd());
    if (!carrier.create()) return refused(device_, what(), "DRM_IOCTL_SYNCOBJ_CREATE");
    if (drmSyncobjTransfer(device_->fd(), carrier.get(), 0, handle_, point, 0) != 0) {
        if (errno == EINVAL)
            return make_error(Code::unavailable, fmt::format("{} on {}", what(), on(*device_)),
                              "nobody has given the point a fence yet; wait_submitted() first");
        return refused(device_, what(), "DRM_IOCTL_SYNCOBJ_TRANSFER");
    }
    int file = -1;
    if (drmSyncobjExportSyncFile(device_->fd(), carrier.get(), &file) != 0)
        return refused(device_, what(), "exporting the sync_file");
    return Fence::from_sync_file(UniqueFd(file));
}

Result<void> Timeline::wait_for(std::uint64_t point, unsigned flags, Deadline deadline,
                                const char* what) const {
    std::uint32_t handle = handle_, first = 0;
    const std::int64_t until = absolute_ns(deadline);
    if (drmSyncobjTimelineWait(device_->fd(), &handle, &point, 1, until,
                               flags | DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, &first) == 0)
        return {};
    if (errno == ETIME)
        return make_error(Code::timed_out,
                          fmt::format("waiting for point {} of a timeline on {}", point, on(*device_)), what);
    return refused(device_, fmt::format("waiting for point {} of a timeline", point),
                   "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT");
}

Result<void> Timeline::wait_submitted(std::uint64_t point, Deadline deadline) const {
    return wait_for(point, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE, deadline,
                    "nobody gave the point a fence before the deadline");
}

Result<void> Timeline::wait(std::uint64_t point, Deadline deadline) const {
    return wait_for(point, 0, deadline, "its work was not done before the deadline");
}

Result<UniqueFd> Timeline::notify(std::uint64_t point, bool submitted) const {
    UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return refused(device_, "watching a timeline", "eventfd");
    drm_syncobj_eventfd request{};
    request.handle = handle_;
    request.flags = submitted ? DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE : 0;
    request.point = point;
    request.fd = event.get();
    if (drmIoctl(device_->fd(), DRM_IOCTL_SYNCOBJ_EVENTFD, &request) != 0) {
        if (errno == EINVAL || errno == ENOTTY)
            return make_error(Code::unsupported, fmt::format("watching a timeline on {}", on(*device_)),
                              "the kernel has no DRM_IOCTL_SYNCOBJ_EVENTFD (Linux 6.6 brings it)");
        return refused(device_, "watching a timeline", "DRM_IOCTL_SYNCOBJ_EVENTFD");
    }
    return event;
}

} // namespace share::kms
