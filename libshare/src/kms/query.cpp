// SPDX-License-Identifier: MIT
// Asks a node once for all that a Device tells of it.
#include "device_impl.hpp"

#include <cerrno>

#include <fmt/format.h>

#include "drm_ptr.hpp"
#include "properties.hpp"

namespace share::kms {
namespace {

/// 0 where the kernel or the driver does not know the capability.
std::uint64_t capability(int fd, std::uint64_t which) noexcept {
    std::uint64_t value = 0;
    return drmGetCap(fd, which, &value) == 0 ? value : 0;
}

void query_capabilities(int fd, Capabilities& caps) {
    const std::uint64_t prime = capability(fd, DRM_CAP_PRIME);
    caps.prime_import = (prime & DRM_PRIME_CAP_IMPORT) != 0;
    caps.prime_export = (prime & DRM_PRIME_CAP_EXPORT) != 0;
    caps.dumb = capability(fd, DRM_CAP_DUMB_BUFFER) != 0;
    caps.dumb_slow_reads = capability(fd, DRM_CAP_DUMB_PREFER_SHADOW) != 0;
    caps.addfb2_modifiers = capability(fd, DRM_CAP_ADDFB2_MODIFIERS) != 0;
    if (!caps.kms) return;
    caps.cursor_width = static_cast<std::uint32_t>(capability(fd, DRM_CAP_CURSOR_WIDTH));
    caps.cursor_height = static_cast<std::uint32_t>(capability(fd, DRM_CAP_CURSOR_HEIGHT));
}

PlaneInfo query_plane(int fd, const drmModePlane& plane) {
    PlaneInfo info;
    info.id = plane.plane_id;
    info.possible_crtcs = plane.possible_crtcs;
    auto properties = Properties::read(fd, plane.plane_id, DRM_MODE_OBJECT_PLANE);
    if (properties) {
        const auto type = properties->value("type");
        if (type == DRM_PLANE_TYPE_PRIMARY) info.type = PlaneType::primary;
        if (type == DRM_PLANE_TYPE_CURSOR) info.type = PlaneType::cursor;
        if (auto pairs = parse_in_formats(read_blob(fd, properties->value("IN_FORMATS"))))
            info.formats = std::move(*pairs);
    }
    // A driver without modifiers has no blob, or one that tells none.
    if (info.formats.empty())
        for (std::uint32_t i = 0; i < plane.count_formats; ++i)
            info.formats.push_back({plane.formats[i], modifier::none});
    return info;
}

void query_planes(Device::Impl& impl) {
    const int fd = impl.fd.get();
    const DrmPtr<drmModePlaneRes> list(drmModeGetPlaneResources(fd));
    for (std::uint32_t i = 0; list && i < list->count_planes; ++i)
        if (const DrmPtr<drmModePlane> plane(drmModeGetPlane(fd, list->planes[i])); plane)
            impl.planes.push_back(query_plane(fd, *plane));
}

bool has_writeback(int fd, const drmModeRes& resources) {
    for (int i = 0; i < resources.count_connectors; ++i) {
        const DrmPtr<drmModeConnector> connector(drmModeGetConnectorCurrent(fd, resources.connectors[i]));
        if (connector && connector->connector_type == DRM_MODE_CONNECTOR_WRITEBACK) return true;
    }
    return false;
}

} // namespace

Result<void> query(Device::Impl& impl) {
    const int fd = impl.fd.get();
    const DrmPtr<drmVersion> version(drmGetVersion(fd));
    if (!version)
        return error_from_errno(errno, fmt::format("asking {} for its driver", impl.node),
                                "it is no DRM device (DRM_IOCTL_VERSION)");
    impl.driver.assign(version->name, static_cast<std::size_t>(version->name_len));
    Capabilities& caps = impl.capabilities;
    drmSetClientCap(fd, DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1);
    caps.atomic = drmSetClientCap(fd, DRM_CLIENT_CAP_ATOMIC, 1) == 0;
    if (caps.atomic) drmSetClientCap(fd, DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1);
    const DrmPtr<drmModeRes> resources(drmModeGetResources(fd));
    caps.kms = resources && resources->count_crtcs > 0;
    query_capabilities(fd, caps);
    if (!caps.kms) return {};
    caps.min_width = resources->min_width;
    caps.max_width = resources->max_width;
    caps.min_height = resources->min_height;
    caps.max_height = resources->max_height;
    caps.writeback = has_writeback(fd, *resources);
    impl.crtcs.assign(resources->crtcs, resources->crtcs + resources->count_crtcs);
    query_planes(impl);
    return {};
}

} // namespace share::kms
