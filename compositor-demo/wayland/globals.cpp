// SPDX-License-Identifier: MIT
#include "wayland/globals.hpp"

#include <algorithm>

#include "wayland/compositor.hpp"
#include "wayland/data_device.hpp"
#include "wayland/presentation.hpp"
#include "wayland/seat.hpp"
#include "wayland/single_pixel.hpp"
#include "wayland/subsurface.hpp"
#include "wayland/viewport.hpp"
#include "wayland/xdg_wm_base.hpp"

namespace compositor::wayland {

template<class Object>
void Globals::bind(wl_client* client, std::uint32_t version, std::uint32_t id) {
    auto token = context_.quota.take(client, Quota::Kind::object);
    if (!token) return wl_client_post_no_memory(client);
    Object::create(client, version, id, context_, std::move(token));
}

template<class Object>
void Globals::add(const wl_interface& interface, std::uint32_t version) {
    globals_.push_back(Global::create<&Globals::bind<Object>>(context_.display, interface, version, *this));
}

std::unique_ptr<Globals> Globals::create(Context& context) {
    std::unique_ptr<Globals> globals(new Globals(context));
    globals->add<Compositor>(wl_compositor_interface, 6);
    globals->add<Subcompositor>(wl_subcompositor_interface, 1);
    globals->add<DataDeviceManager>(wl_data_device_manager_interface, 3);
    globals->add<Seat>(wl_seat_interface, 9);
    globals->add<XdgWmBase>(xdg_wm_base_interface, 6);
    globals->add<Viewporter>(wp_viewporter_interface, 1);
    globals->add<Presentation>(wp_presentation_interface, 2);
    globals->add<SinglePixelManager>(wp_single_pixel_buffer_manager_v1_interface, 1);
    const bool all = std::all_of(globals->globals_.begin(), globals->globals_.end(),
                                 [](const Global& g) { return bool(g); });
    return all ? std::move(globals) : nullptr;
}

} // namespace compositor::wayland
