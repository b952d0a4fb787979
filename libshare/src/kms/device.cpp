// SPDX-License-Identifier: MIT
#include <share/kms/device.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "device_impl.hpp"
#include "drm_ptr.hpp"
#include "properties.hpp"

namespace share::kms {
namespace {

constexpr const char* device_folder = "/dev/dri";

Error open_error(int os_errno, const std::string& node) {
    std::string advice;
    if (os_errno == ENOENT)
        advice = "this machine has no such display controller, or its driver is not loaded";
    if (os_errno == EACCES) advice = "join its group (often video) or log in at the seat";
    return error_from_errno(os_errno, fmt::format("opening {}", node), std::move(advice));
}

/// DRM master for one question, where nobody else is: the kernel probes displays for the master only.
class MasterForNow {
public:
    explicit MasterForNow(int fd) noexcept : fd_(!drmIsMaster(fd) && drmSetMaster(fd) == 0 ? fd : -1) {}
    ~MasterForNow() {
        if (fd_ >= 0) drmDropMaster(fd_);
    }
    MasterForNow(const MasterForNow&) = delete;
    MasterForNow& operator=(const MasterForNow&) = delete;

private:
    int fd_;
};

std::uint32_t refresh_of(const drmModeModeInfo& mode) noexcept {
    const std::uint64_t total = std::uint64_t{mode.htotal} * mode.vtotal;
    return total == 0 ? mode.vrefresh * 1000U
                      : static_cast<std::uint32_t>(std::uint64_t{mode.clock} * 1'000'000U / total);
}

ConnectorInfo describe(int fd, const drmModeConnector& connector) {
    ConnectorInfo info;
    const char* type = drmModeGetConnectorTypeName(connector.connector_type);
    info.id = connector.connector_id;
    info.name = fmt::format("{}-{}", type ? type : "Unknown", connector.connector_type_id);
    info.writeback = connector.connector_type == DRM_MODE_CONNECTOR_WRITEBACK;
    info.connected = connector.connection == DRM_MODE_CONNECTED && !info.writeback;
    info.possible_crtcs = drmModeConnectorGetPossibleCrtcs(fd, &connector);
    for (int i = 0; i < connector.count_modes; ++i) {
        const drmModeModeInfo& mode = connector.modes[i];
        info.modes.push_back(
            {mode.hdisplay, mode.vdisplay, refresh_of(mode), (mode.type & DRM_MODE_TYPE_PREFERRED) != 0});
    }
    if (!info.writeback) return info;
    if (auto properties = Properties::read(fd, info.id, DRM_MODE_OBJECT_CONNECTOR)) {
        const auto blob = read_blob(fd, properties->value("WRITEBACK_PIXEL_FORMATS"));
        info.writeback_formats.resize(blob.size() / sizeof(Fourcc));
        if (!info.writeback_formats.empty())
            std::memcpy(info.writeback_formats.data(), blob.data(),
                        info.writeback_formats.size() * sizeof(Fourcc));
    }
    return info;
}

} // namespace

Device::Device(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Device::~Device() = default;

Result<std::shared_ptr<Device>> Device::open(const std::string& node) {
    UniqueFd fd(::open(node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!fd) return open_error(errno, node);
    // Whoever opens a node first becomes its master and would keep every compositor out.
    if (drmIsMaster(fd.get())) drmDropMaster(fd.get());
    return adopt(std::move(fd));
}

Result<std::shared_ptr<Device>> Device::adopt(UniqueFd fd) {
    auto impl = std::make_unique<Impl>();
    std::error_code ignored;
    const auto path = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd.get()), ignored);
    impl->node = path.empty() ? fmt::format("fd {}", fd.get()) : path.string();
    impl->fd = std::move(fd);
    if (auto asked = query(*impl); !asked) return std::move(asked).error();
    return std::shared_ptr<Device>(new Device(std::move(impl)));
}

std::vector<std::string> Device::nodes() {
    std::vector<std::string> nodes;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(device_folder, ignored))
        if (entry.path().filename().string().starts_with("card")) nodes.push_back(entry.path().string());
    std::sort(nodes.begin(), nodes.end());
    return nodes;
}

Result<std::shared_ptr<Device>> Device::find(std::string_view driver) {
    std::string tried;
    for (const auto& node : nodes()) {
        auto device = open(node);
        if (device && (*device)->driver() == driver) return device;
        tried += fmt::format("{}{}: {}", tried.empty() ? "" : "; ", node,
                             device ? "driver " + (*device)->driver() : device.error().text());
    }
    return make_error(
        Code::unavailable, fmt::format("looking for a display controller of driver {}", driver),
        tried.empty() ? fmt::format("{} has no card; the kernel knows no display controller", device_folder)
                      : "tried " + tried);
}

int Device::fd() const noexcept {
    return impl_->fd.get();
}
const std::string& Device::driver() const noexcept {
    return impl_->driver;
}
const std::string& Device::node() const noexcept {
    return impl_->node;
}
const Capabilities& Device::capabilities() const noexcept {
    return impl_->capabilities;
}
const std::vector<std::uint32_t>& Device::crtcs() const noexcept {
    return impl_->crtcs;
}
const std::vector<PlaneInfo>& Device::planes() const noexcept {
    return impl_->planes;
}

std::vector<FormatModifier> Device::primary_formats() const {
    std::vector<FormatModifier> all;
    for (const auto& plane : impl_->planes) {
        if (plane.type != PlaneType::primary) continue;
        for (const auto& pair : plane.formats)
            if (std::find(all.begin(), all.end(), pair) == all.end()) all.push_back(pair);
    }
    return all;
}

Result<std::vector<ConnectorInfo>> Device::connectors() const {
    const DrmPtr<drmModeRes> resources(drmModeGetResources(fd()));
    if (!resources)
        return error_from_errno(errno, fmt::format("listing the connectors of {} ({})", node(), driver()),
                                "it has no display");
    const MasterForNow master(fd());
    std::vector<ConnectorInfo> list;
    for (int i = 0; i < resources->count_connectors; ++i)
        if (const DrmPtr<drmModeConnector> one(drmModeGetConnector(fd(), resources->connectors[i])); one)
            list.push_back(describe(fd(), *one));
    return list;
}

} // namespace share::kms
