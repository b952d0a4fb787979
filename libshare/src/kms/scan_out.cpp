// SPDX-License-Identifier: MIT
#include <share/kms/scan_out.hpp>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <share/fence.hpp>

#include "commit.hpp"
#include "device_impl.hpp"
#include "pipe.hpp"

namespace share::kms {
namespace {

/// A framebuffer that the device reads or writes.
struct Held {
    std::shared_ptr<Framebuffer> framebuffer;
    Attachment attachment;
};

std::string advice(int os_errno, const Pipe& pipe) {
    if (os_errno == EACCES || os_errno == EPERM)
        return "we are no longer DRM master: the seat went to another program";
    if (os_errno == EBUSY) return "an earlier commit has not reached the display yet";
    if (os_errno == EINVAL || os_errno == ERANGE)
        return fmt::format(
            "the device refuses this combination of buffer and mode {}x{}; it may want a buffer of "
            "just that size, or cannot scan out this memory",
            pipe.mode.width, pipe.mode.height);
    if (os_errno == ENOSPC) return "its source rectangle is outside the framebuffer";
    return "DRM_IOCTL_MODE_ATOMIC";
}

} // namespace

struct ScanOut::Impl {
    std::shared_ptr<Device> device;
    Pipe pipe;
    bool took_master = false;
    Snapshot before;
    ModeBlob mode;
    bool lit = false; ///< we have set the mode
    std::uint64_t token = 0;
    Held next, shown, target;
    std::optional<Fence> target_fence; ///< of the capture under way

    ~Impl();
    std::string operation(const Framebuffer& framebuffer) const;
    Result<void> check(const Framebuffer& framebuffer) const;
    void fill(Commit& commit, const Framebuffer& framebuffer) const;
    Result<void> run(const Commit& commit, const Framebuffer& framebuffer, std::uint32_t flags,
                     std::uint64_t with = 0) const;
    Result<void> submit(Commit& commit, std::shared_ptr<Framebuffer> framebuffer, std::uint32_t flags);
    Result<void> finish_capture(Deadline deadline);
};

std::string ScanOut::Impl::operation(const Framebuffer& framebuffer) const {
    const Layout& layout = framebuffer.buffer()->layout();
    return fmt::format("showing a {}x{} {} buffer on {} (CRTC {} of {}, {})", layout.width(), layout.height(),
                       fourcc_text(layout.format()), pipe.connector_name, pipe.crtc.object(), device->node(),
                       device->driver());
}

Result<void> ScanOut::Impl::check(const Framebuffer& framebuffer) const {
    if (framebuffer.device() == device) return {};
    return make_error(
        Code::invalid_argument, operation(framebuffer),
        fmt::format("its framebuffer was made on {}; make one on this device", framebuffer.device()->node()));
}

void ScanOut::Impl::fill(Commit& commit, const Framebuffer& framebuffer) const {
    const Layout& layout = framebuffer.buffer()->layout();
    const std::uint64_t width = std::min(layout.width(), pipe.mode.width);
    const std::uint64_t height = std::min(layout.height(), pipe.mode.height);
    commit.set(pipe.primary, "FB_ID", framebuffer.id());
    commit.set(pipe.primary, "CRTC_ID", pipe.crtc.object());
    for (const char* zero : {"SRC_X", "SRC_Y", "CRTC_X", "CRTC_Y"})
        commit.set(pipe.primary, zero, 0);
    commit.set(pipe.primary, "SRC_W", width << 16U); // 16.16 fixed point
    commit.set(pipe.primary, "SRC_H", height << 16U);
    commit.set(pipe.primary, "CRTC_W", width);
    commit.set(pipe.primary, "CRTC_H", height);
    if (lit) return;
    commit.set(pipe.connector, "CRTC_ID", pipe.crtc.object());
    commit.set(pipe.crtc, "MODE_ID", mode.id());
    commit.set(pipe.crtc, "ACTIVE", 1);
    for (const auto& plane : pipe.other_planes) {
        commit.set(plane, "FB_ID", 0);
        commit.set(plane, "CRTC_ID", 0);
    }
}

Result<void> ScanOut::Impl::run(const Commit& commit, const Framebuffer& framebuffer, std::uint32_t flags,
                                std::uint64_t with) const {
    const std::uint32_t modeset = lit ? 0U : DRM_MODE_ATOMIC_ALLOW_MODESET;
    const int refused = commit.run(device->fd(), flags | modeset, with);
    if (refused == 0) return {};
    return error_from_errno(refused, operation(framebuffer), advice(refused, pipe));
}

Result<void> ScanOut::Impl::submit(Commit& commit, std::shared_ptr<Framebuffer> framebuffer,
                                   std::uint32_t flags) {
    if (token != 0)
        return make_error(Code::busy, operation(*framebuffer),
                          "an earlier commit has not reached the display yet; wait_flip() first");
    auto attachment = framebuffer->buffer()->attach(
        Access::read, fmt::format("{} of {}", pipe.connector_name, device->node()), Deadline::none());
    if (!attachment) return std::move(attachment).error();
    if (auto good = run(commit, *framebuffer, flags | DRM_MODE_ATOMIC_TEST_ONLY); !good) return good;
    const std::uint64_t with = device->impl().events.next_token();
    auto done = run(commit, *framebuffer, flags | DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT, with);
    if (!done) return done;
    lit = true;
    token = with;
    next = {std::move(framebuffer), std::move(*attachment)};
    return {};
}

Result<void> ScanOut::Impl::finish_capture(Deadline deadline) {
    if (!target_fence) return {};
    auto written = target_fence->wait(deadline);
    if (!written) written.error().operation = "waiting for the writeback of a picture";
    if (!written && written.error().code == Code::timed_out) return written;
    target_fence.reset();
    target = {};
    return written;
}

ScanOut::Impl::~Impl() {
    // What is under way must come to its end before the display goes off (vkms never ends a writeback whose
    // CRTC went off): a second is many refreshes.
    const Deadline end = Deadline::in(std::chrono::seconds(1));
    if (token != 0) (void)device->impl().events.wait(device->fd(), token, end);
    (void)finish_capture(end);
    if (lit) (void)before.restore(device->fd());
    if (took_master) drmDropMaster(device->fd());
}

ScanOut::ScanOut(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
ScanOut::~ScanOut() = default;

Result<std::unique_ptr<ScanOut>> ScanOut::create(std::shared_ptr<Device> device,
                                                 const ScanOutOptions& options) {
    assert(device);
    const auto operation = fmt::format("driving a display of {} ({})", device->node(), device->driver());
    if (!device->capabilities().kms || !device->capabilities().atomic)
        return make_error(Code::unsupported, operation,
                          device->capabilities().kms ? "its driver has no atomic modesetting"
                                                     : "it has no display");
    const int fd = device->fd();
    auto impl = std::make_unique<Impl>();
    impl->device = std::move(device);
    if (!drmIsMaster(fd)) {
        if (drmSetMaster(fd) != 0)
            return Error{Code::denied, errno, operation,
                         "another program is DRM master: stop that compositor, or ask it for a lease"};
        impl->took_master = true;
    }
    auto pipe = choose_pipe(*impl->device, options);
    if (!pipe) return std::move(pipe).error();
    impl->pipe = std::move(*pipe);
    std::vector<std::uint32_t> planes{impl->pipe.primary.object()}, connectors{impl->pipe.connector.object()};
    for (const auto& plane : impl->pipe.other_planes)
        planes.push_back(plane.object());
    if (impl->pipe.writeback) connectors.push_back(impl->pipe.writeback->object());
    auto before = Snapshot::take(fd, impl->pipe.crtc.object(), planes, connectors);
    if (!before) return std::move(before).error();
    impl->before = std::move(*before);
    impl->mode = ModeBlob(fd, impl->pipe.mode_info);
    return std::unique_ptr<ScanOut>(new ScanOut(std::move(impl)));
}

const Mode& ScanOut::mode() const noexcept {
    return impl_->pipe.mode;
}
const std::string& ScanOut::connector() const noexcept {
    return impl_->pipe.connector_name;
}
std::uint32_t ScanOut::crtc() const noexcept {
    return impl_->pipe.crtc.object();
}
const std::shared_ptr<Framebuffer>& ScanOut::shown() const noexcept {
    return impl_->shown.framebuffer;
}

Result<void> ScanOut::test(const Framebuffer& framebuffer) const {
    if (auto ours = impl_->check(framebuffer); !ours) return ours;
    Commit commit;
    impl_->fill(commit, framebuffer);
    return impl_->run(commit, framebuffer, DRM_MODE_ATOMIC_TEST_ONLY);
}

Result<void> ScanOut::commit(std::shared_ptr<Framebuffer> framebuffer) {
    assert(framebuffer);
    if (auto ours = impl_->check(*framebuffer); !ours) return ours;
    Commit commit;
    impl_->fill(commit, *framebuffer);
    return impl_->submit(commit, std::move(framebuffer), 0);
}

Result<ScanOut::Flip> ScanOut::wait_flip(Deadline deadline) {
    if (impl_->token == 0)
        return make_error(Code::invalid_argument, "waiting for a picture to be shown",
                          "nothing was committed");
    auto flip = impl_->device->impl().events.wait(impl_->device->fd(), impl_->token, deadline);
    if (!flip) return flip;
    impl_->token = 0;
    impl_->shown = std::exchange(impl_->next, {});
    return flip;
}

Result<ScanOut::Flip> ScanOut::show(std::shared_ptr<Framebuffer> framebuffer, Deadline deadline) {
    if (auto done = commit(std::move(framebuffer)); !done) return std::move(done).error();
    return wait_flip(deadline);
}

Result<ScanOut::Flip> ScanOut::capture(std::shared_ptr<Framebuffer> framebuffer,
                                       std::shared_ptr<Framebuffer> target, Deadline deadline) {
    assert(framebuffer && target);
    if (!impl_->pipe.writeback)
        return make_error(Code::unsupported, impl_->operation(*framebuffer),
                          "the device has no writeback connector for this display");
    for (const auto& one : {framebuffer, target})
        if (auto ours = impl_->check(*one); !ours) return std::move(ours).error();
    if (auto before = impl_->finish_capture(deadline); !before) return std::move(before).error();
    auto attachment = target->buffer()->attach(
        Access::write, fmt::format("the writeback of {}", impl_->device->node()), deadline);
    if (!attachment) return std::move(attachment).error();
    std::int32_t fence = -1;
    Commit commit;
    impl_->fill(commit, *framebuffer);
    commit.set(*impl_->pipe.writeback, "CRTC_ID", impl_->pipe.crtc.object());
    commit.set(*impl_->pipe.writeback, "WRITEBACK_FB_ID", target->id());
    commit.set(*impl_->pipe.writeback, "WRITEBACK_OUT_FENCE_PTR", reinterpret_cast<std::uintptr_t>(&fence));
    auto done = impl_->submit(commit, std::move(framebuffer), DRM_MODE_ATOMIC_ALLOW_MODESET);
    if (!done) return std::move(done).error();
    impl_->target = {std::move(target), std::move(*attachment)};
    auto pending = Fence::from_sync_file(UniqueFd(fence));
    if (!pending) return std::move(pending).error();
    impl_->target_fence = std::move(*pending);
    if (auto written = impl_->finish_capture(deadline); !written) return std::move(written).error();
    return wait_flip(deadline);
}

} // namespace share::kms
