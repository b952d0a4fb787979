// SPDX-License-Identifier: MIT
#include "pipe.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace share::kms {
namespace {

std::string operation_on(const Device& device) {
    return fmt::format("driving a display of {} ({})", device.node(), device.driver());
}

Result<ConnectorInfo> choose_connector(const Device& device, const std::vector<ConnectorInfo>& connectors,
                                       std::uint32_t wanted) {
    std::string all;
    for (const auto& connector : connectors) {
        if (wanted == 0 ? connector.connected && !connector.writeback : connector.id == wanted)
            return connector;
        all += fmt::format("{}{} (id {}, {})", all.empty() ? "" : ", ", connector.name, connector.id,
                           connector.connected ? "connected" : "not connected");
    }
    return make_error(Code::unavailable, operation_on(device),
                      fmt::format("{}; it has {}",
                                  wanted == 0 ? std::string("nothing is connected")
                                              : fmt::format("there is no connector {}", wanted),
                                  all.empty() ? "no connectors" : all));
}

Result<void> choose_mode(const Device& device, const ConnectorInfo& connector, const ScanOutOptions& options,
                         Pipe& pipe) {
    const DrmPtr<drmModeConnector> raw(drmModeGetConnectorCurrent(device.fd(), connector.id));
    std::string all;
    int chosen = -1;
    for (int i = 0; raw && i < raw->count_modes && static_cast<std::size_t>(i) < connector.modes.size();
         ++i) {
        const Mode& mode = connector.modes[static_cast<std::size_t>(i)];
        // Without a wish the preferred mode; the first, where the display prefers none.
        const bool fits = options.width == 0 ? mode.preferred || i == 0
                                             : mode.width == options.width && mode.height == options.height;
        if (fits && (chosen < 0 || (mode.preferred && options.width == 0))) chosen = i;
        all += fmt::format("{}{}x{}", all.empty() ? "" : ", ", mode.width, mode.height);
    }
    if (chosen >= 0) {
        pipe.mode = connector.modes[static_cast<std::size_t>(chosen)];
        pipe.mode_info = raw->modes[chosen];
        return {};
    }
    return make_error(Code::unavailable, operation_on(device),
                      fmt::format("{} has no mode of {}x{}; it has {}", connector.name, options.width,
                                  options.height, all.empty() ? "none" : all));
}

/// The CRTC that drives the connector now, or an idle one that can.
Result<std::size_t> choose_crtc(const Device& device, const ConnectorInfo& connector, Pipe& pipe) {
    const auto now = pipe.connector.value("CRTC_ID");
    std::optional<std::size_t> chosen;
    for (std::size_t i = 0; i < device.crtcs().size() && i < 32; ++i) {
        if ((connector.possible_crtcs >> i & 1U) == 0) continue;
        auto properties = Properties::read(device.fd(), device.crtcs()[i], DRM_MODE_OBJECT_CRTC);
        if (!properties) return std::move(properties).error();
        const bool ours = device.crtcs()[i] == now;
        if (!ours && (chosen || properties->value("ACTIVE") != 0)) continue;
        chosen = i;
        pipe.crtc = std::move(*properties);
        if (ours) break;
    }
    if (chosen) return *chosen;
    return make_error(Code::busy, operation_on(device),
                      fmt::format("every CRTC that can drive {} drives another display", connector.name));
}

Result<void> choose_planes(const Device& device, std::size_t crtc_index, Pipe& pipe) {
    bool found = false;
    for (const PlaneInfo& plane : device.planes()) {
        if ((plane.possible_crtcs >> crtc_index & 1U) == 0) continue;
        auto properties = Properties::read(device.fd(), plane.id, DRM_MODE_OBJECT_PLANE);
        if (!properties) return std::move(properties).error();
        const auto on = properties->value("CRTC_ID");
        if (!found && plane.type == PlaneType::primary && (on == 0 || on == pipe.crtc.object())) {
            found = true;
            pipe.primary = std::move(*properties);
        } else if (on == pipe.crtc.object())
            pipe.other_planes.push_back(std::move(*properties));
    }
    if (found) return {};
    return make_error(Code::unsupported, operation_on(device),
                      fmt::format("CRTC {} has no primary plane that is free", pipe.crtc.object()));
}

void choose_writeback(const Device& device, const std::vector<ConnectorInfo>& connectors,
                      std::size_t crtc_index, Pipe& pipe) {
    for (const auto& connector : connectors) {
        if (!connector.writeback || (connector.possible_crtcs >> crtc_index & 1U) == 0) continue;
        if (auto properties = Properties::read(device.fd(), connector.id, DRM_MODE_OBJECT_CONNECTOR))
            pipe.writeback = std::move(*properties);
    }
}

} // namespace

Result<Pipe> choose_pipe(const Device& device, const ScanOutOptions& options) {
    auto connectors = device.connectors();
    if (!connectors) return std::move(connectors).error();
    auto connector = choose_connector(device, *connectors, options.connector);
    if (!connector) return std::move(connector).error();
    Pipe pipe;
    pipe.connector_name = connector->name;
    if (auto mode = choose_mode(device, *connector, options, pipe); !mode) return std::move(mode).error();
    auto properties = Properties::read(device.fd(), connector->id, DRM_MODE_OBJECT_CONNECTOR);
    if (!properties) return std::move(properties).error();
    pipe.connector = std::move(*properties);
    auto crtc = choose_crtc(device, *connector, pipe);
    if (!crtc) return std::move(crtc).error();
    if (auto planes = choose_planes(device, *crtc, pipe); !planes) return std::move(planes).error();
    choose_writeback(device, *connectors, *crtc, pipe);
    return pipe;
}

} // namespace share::kms
