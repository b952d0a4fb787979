// SPDX-License-Identifier: MIT
#include <share/kms/framebuffer.hpp>

#include <array>
#include <cerrno>
#include <limits>

#include <fmt/format.h>

#include "drm_ptr.hpp"
#include "refusal.hpp"

namespace share::kms {
namespace {

/// ADDFB2's arguments. The handles are only for the call: a framebuffer keeps its objects itself.
struct Arguments {
    std::array<GemHandle, max_planes> owned;
    std::uint32_t handles[max_planes] = {};
    std::uint32_t pitches[max_planes] = {};
    std::uint32_t offsets[max_planes] = {};
    std::uint64_t modifiers[max_planes] = {};
};

Result<void> import_planes(Device& device, const DmabufHandle& dmabuf, Arguments& arguments) {
    const Layout& layout = dmabuf.layout;
    for (std::size_t i = 0; i < layout.plane_count(); ++i) {
        if (layout.plane(i).offset > std::numeric_limits<std::uint32_t>::max())
            return make_error(Code::limit, fmt::format("making a framebuffer on {}", device.node()),
                              fmt::format("plane {} begins at byte {}, beyond the 4 GiB that KMS can say", i,
                                          layout.plane(i).offset));
        auto handle = device.import(dmabuf.fd(i));
        if (!handle) {
            handle.error().detail += "; the device may want contiguous memory: allocate from the heap dumb, "
                                     "or from a dma-heap that is";
            return std::move(handle).error();
        }
        arguments.owned[i] = std::move(*handle);
        arguments.handles[i] = arguments.owned[i].get();
        arguments.pitches[i] = layout.plane(i).stride;
        arguments.offsets[i] = static_cast<std::uint32_t>(layout.plane(i).offset);
        arguments.modifiers[i] = layout.modifier();
    }
    return {};
}

int add_framebuffer(int fd, const Capabilities& caps, const Layout& layout, const Arguments& a,
                    std::uint32_t& id) {
    const bool told = layout.modifier() != modifier::none && caps.addfb2_modifiers;
    const int rc = drmModeAddFB2WithModifiers(fd, layout.width(), layout.height(), layout.format(), a.handles,
                                              a.pitches, a.offsets, told ? a.modifiers : nullptr, &id,
                                              told ? DRM_MODE_FB_MODIFIERS : 0);
    return rc < 0 ? -rc : 0;
}

} // namespace

Framebuffer::Framebuffer(std::shared_ptr<Device> device, std::shared_ptr<Buffer> buffer, DmabufHandle dmabuf)
    : device_(std::move(device)),
      buffer_(std::move(buffer)),
      dmabuf_(std::move(dmabuf)),
      mechanism_(buffer_->memory()->traits().kind == MemoryKind::dmabuf ? Mechanism::dmabuf
                                                                        : Mechanism::udmabuf) {}

Result<std::shared_ptr<Framebuffer>> Framebuffer::create(std::shared_ptr<Device> device,
                                                         std::shared_ptr<Buffer> buffer) {
    assert(device && buffer);
    const Capabilities& caps = device->capabilities();
    if (!caps.kms || !caps.prime_import)
        return make_error(Code::unsupported,
                          fmt::format("making a framebuffer on {} ({})", device->node(), device->driver()),
                          caps.kms ? "its driver imports no dma-bufs; use its own dumb buffers"
                                   : "it has no display; open the display controller's node");
    auto dmabuf = buffer->export_dmabuf();
    if (!dmabuf) return std::move(dmabuf).error();
    std::shared_ptr<Framebuffer> framebuffer(
        new Framebuffer(std::move(device), std::move(buffer), std::move(*dmabuf)));
    if (auto added = framebuffer->add(); !added) return std::move(added).error();
    return framebuffer;
}

Result<void> Framebuffer::add() {
    const Layout& layout = dmabuf_.layout;
    Arguments arguments;
    if (auto imported = import_planes(*device_, dmabuf_, arguments); !imported) return imported;
    const Capabilities& caps = device_->capabilities();
    const auto formats = device_->primary_formats();
    const Limits limits{fmt::format("{} ({})", device_->node(), device_->driver()), caps, formats};
    // Without ADDFB2 modifiers only what the driver would guess anyway can be shown.
    const bool tiled = layout.modifier() != modifier::none && layout.modifier() != modifier::linear;
    const int refused = tiled && !caps.addfb2_modifiers
                            ? EINVAL
                            : add_framebuffer(device_->fd(), caps, layout, arguments, id_);
    if (refused != 0) return explain_refusal(limits, layout, refused);
    return {};
}

Framebuffer::~Framebuffer() {
    if (id_ == 0) return;
#ifdef DRM_IOCTL_MODE_CLOSEFB
    drm_mode_closefb request{};
    request.fb_id = id_;
    if (drmIoctl(device_->fd(), DRM_IOCTL_MODE_CLOSEFB, &request) == 0) return;
#endif
    drmModeRmFB(device_->fd(), id_); // turns off what still shows it
}

} // namespace share::kms
