// SPDX-License-Identifier: MIT
// GEM handles, counted by number: the kernel gives the same one for the same dma-buf.
#include <cerrno>
#include <utility>

#include <fcntl.h>

#include <fmt/format.h>

#include "device_impl.hpp"
#include "drm_ptr.hpp"

namespace share::kms {

GemHandle::GemHandle(std::shared_ptr<Device> device, std::uint32_t handle) noexcept
    : device_(std::move(device)), handle_(handle) {}
GemHandle::GemHandle(GemHandle&& other) noexcept
    : device_(std::exchange(other.device_, nullptr)), handle_(other.handle_) {}
GemHandle& GemHandle::operator=(GemHandle&& other) noexcept {
    if (this == &other) return *this;
    if (device_) device_->release(handle_);
    device_ = std::exchange(other.device_, nullptr);
    handle_ = other.handle_;
    return *this;
}
GemHandle::~GemHandle() {
    if (device_) device_->release(handle_);
}

Result<GemHandle> Device::import(int dmabuf) {
    const std::lock_guard lock(impl_->gem_lock);
    std::uint32_t handle = 0;
    if (drmPrimeFDToHandle(fd(), dmabuf, &handle) != 0)
        return error_from_errno(errno,
                                fmt::format("importing dma-buf fd {} into {} ({})", dmabuf, node(), driver()),
                                "DRM_IOCTL_PRIME_FD_TO_HANDLE");
    ++impl_->gem_uses[handle];
    return GemHandle(shared_from_this(), handle);
}

Result<Device::DumbBuffer> Device::create_dumb(std::uint32_t width, std::uint32_t height,
                                               std::uint32_t bits_per_pixel) {
    const std::lock_guard lock(impl_->gem_lock);
    drm_mode_create_dumb request{};
    request.width = width;
    request.height = height;
    request.bpp = bits_per_pixel;
    if (drmIoctl(fd(), DRM_IOCTL_MODE_CREATE_DUMB, &request) != 0)
        return error_from_errno(
            errno,
            fmt::format("making a dumb buffer of {}x{} pixels of {} bits on {} ({})", width, height,
                        bits_per_pixel, node(), driver()),
            errno == ENOMEM ? "DRM_IOCTL_MODE_CREATE_DUMB; the device or the machine has no memory left"
                            : "DRM_IOCTL_MODE_CREATE_DUMB");
    ++impl_->gem_uses[request.handle];
    return DumbBuffer{GemHandle(shared_from_this(), request.handle), request.pitch, request.size};
}

Result<UniqueFd> Device::export_dmabuf(const GemHandle& handle) {
    int dmabuf = -1;
    if (drmPrimeHandleToFD(fd(), handle.get(), DRM_CLOEXEC | DRM_RDWR, &dmabuf) != 0)
        return error_from_errno(
            errno,
            fmt::format("exporting GEM handle {} of {} ({}) as dma-buf", handle.get(), node(), driver()),
            "DRM_IOCTL_PRIME_HANDLE_TO_FD");
    return UniqueFd(dmabuf);
}

std::size_t Device::gem_handle_count() const noexcept {
    const std::lock_guard lock(impl_->gem_lock);
    return impl_->gem_uses.size();
}

void Device::release(std::uint32_t handle) noexcept {
    const std::lock_guard lock(impl_->gem_lock);
    const auto found = impl_->gem_uses.find(handle);
    assert(found != impl_->gem_uses.end());
    if (--found->second > 0) return;
    impl_->gem_uses.erase(found);
    drm_gem_close request{};
    request.handle = handle;
    drmIoctl(fd(), DRM_IOCTL_GEM_CLOSE, &request);
}

} // namespace share::kms
