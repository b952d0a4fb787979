// SPDX-License-Identifier: MIT
#include "wayland/data_device.hpp"

#include <fmt/format.h>

namespace compositor::wayland {

const DataSource::Requests DataSource::requests{{.offer = request<&DataSource::offer>,
                                                 .destroy = request<&DataSource::destroy>,
                                                 .set_actions = request<&DataSource::set_actions>}};
const DataDevice::Requests DataDevice::requests{{.start_drag = request<&DataDevice::start_drag>,
                                                 .set_selection = request<&DataDevice::set_selection>,
                                                 .release = request<&DataDevice::destroy>}};
const DataDeviceManager::Requests DataDeviceManager::requests{
    {.create_data_source = request<&DataDeviceManager::create_data_source>,
     .get_data_device = request<&DataDeviceManager::get_data_device>}};

Outcome DataSource::set_actions(std::uint32_t actions) {
    constexpr std::uint32_t all = WL_DATA_DEVICE_MANAGER_DND_ACTION_COPY |
                                  WL_DATA_DEVICE_MANAGER_DND_ACTION_MOVE |
                                  WL_DATA_DEVICE_MANAGER_DND_ACTION_ASK;
    if ((actions & ~all) != 0)
        return refuse(WL_DATA_SOURCE_ERROR_INVALID_ACTION_MASK,
                      fmt::format("unknown actions {:#x}", actions));
    if (used || has_actions_)
        return refuse(WL_DATA_SOURCE_ERROR_INVALID_SOURCE, "actions are set once, before the source is used");
    has_actions_ = true;
    return accepted;
}

Outcome DataDevice::start_drag(wl_resource* source_resource, wl_resource*, wl_resource* icon_resource,
                               std::uint32_t) {
    const Surface* icon = Surface::from(icon_resource);
    if (icon && (icon->role() || icon->role_kind() != RoleKind::none))
        return refuse(WL_DATA_DEVICE_ERROR_ROLE, "the icon has another role");
    DataSource* source = DataSource::from(source_resource);
    if (!source) return accepted;
    if (std::exchange(source->used, true))
        return refuse(WL_DATA_DEVICE_ERROR_USED_SOURCE, "the source was used before");
    wl_data_source_send_cancelled(source->resource()); // no button is held: the drag ends as it begins
    return accepted;
}

Outcome DataDevice::set_selection(wl_resource* source_resource, std::uint32_t) {
    DataSource* source = DataSource::from(source_resource);
    if (!source) return accepted;
    if (source->has_actions())
        return refuse_on(source->resource(), WL_DATA_SOURCE_ERROR_INVALID_SOURCE,
                         "a source with drag actions is no selection");
    if (std::exchange(source->used, true))
        return refuse(WL_DATA_DEVICE_ERROR_USED_SOURCE, "the source was used before");
    wl_data_source_send_cancelled(source->resource()); // its client has no keyboard focus
    return accepted;
}

Outcome DataDeviceManager::create_data_source(std::uint32_t id) {
    auto token = context_.quota.take(client(), Quota::Kind::object);
    if (!token) return Quota::refusal(Quota::Kind::object);
    DataSource::create(client(), version(), id, std::move(token));
    return accepted;
}

Outcome DataDeviceManager::get_data_device(std::uint32_t id, wl_resource*) {
    auto token = context_.quota.take(client(), Quota::Kind::object);
    if (!token) return Quota::refusal(Quota::Kind::object);
    DataDevice::create(client(), version(), id, std::move(token));
    return accepted;
}

} // namespace compositor::wayland
