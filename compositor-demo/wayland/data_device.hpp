// SPDX-License-Identifier: MIT
// wl_data_device_manager, version 3, for a seat without devices: nothing ever has the focus, so no offer is
// ever made, a selection is cancelled when another replaces it, and a drag cannot start.
// Thread: the display's.
#pragma once

#include "wayland/surface.hpp"

namespace compositor::wayland {

class DataSource : public Resource<DataSource, &wl_data_source_interface, struct wl_data_source_interface> {
public:
    static const Requests requests;
    DataSource(NewResource resource, Quota::Token token) : Resource(resource), token_(std::move(token)) {}
    bool used = false; ///< in set_selection or start_drag: once only
    bool has_actions() const noexcept { return has_actions_; }

private:
    Outcome set_actions(std::uint32_t actions);
    void offer(const char*) {} // nobody will ever ask for data
    Quota::Token token_;
    bool has_actions_ = false;
};

class DataDevice : public Resource<DataDevice, &wl_data_device_interface, struct wl_data_device_interface> {
public:
    static const Requests requests;
    DataDevice(NewResource resource, Quota::Token token) : Resource(resource), token_(std::move(token)) {}

private:
    Outcome start_drag(wl_resource* source, wl_resource* origin, wl_resource* icon, std::uint32_t serial);
    Outcome set_selection(wl_resource* source, std::uint32_t serial);
    Quota::Token token_;
};

class DataDeviceManager : public Resource<DataDeviceManager, &wl_data_device_manager_interface,
                                          struct wl_data_device_manager_interface> {
public:
    static const Requests requests;
    DataDeviceManager(NewResource resource, Context& context, Quota::Token token)
        : Resource(resource), context_(context), token_(std::move(token)) {}

private:
    Outcome create_data_source(std::uint32_t id);
    Outcome get_data_device(std::uint32_t id, wl_resource* seat);
    Context& context_;
    Quota::Token token_;
};

} // namespace compositor::wayland
