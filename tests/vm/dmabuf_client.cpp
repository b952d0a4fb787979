// SPDX-License-Identifier: MIT
#include "dmabuf_client.hpp"

#include <algorithm>
#include <string_view>

#include <wayland-client.h>

#include "linux-dmabuf-v1-client.h"
#include "xdg-shell-client.h"

#include <share/format.hpp>

namespace testing {

struct DmabufClient::Impl {
    wl_display* display = nullptr;
    wl_compositor* compositor = nullptr;
    xdg_wm_base* wm = nullptr;
    zwp_linux_dmabuf_v1* dmabuf = nullptr;
    wl_buffer* buffer = nullptr;
    bool created = false, configured = false, shown = false;

    ~Impl() {
        if (display) wl_display_disconnect(display);
    }
    zwp_linux_buffer_params_v1* params(int fd, std::uint32_t side) const {
        auto* made = zwp_linux_dmabuf_v1_create_params(dmabuf);
        zwp_linux_buffer_params_v1_add(made, fd, 0, 0, side * 4, 0, 0);
        return made;
    }
    Outcome outcome() const {
        if (wl_display_get_error(display) == 0) return {created ? Answer::created : Answer::failed, {}, 0};
        const wl_interface* interface = nullptr;
        std::uint32_t id = 0;
        const auto code = wl_display_get_protocol_error(display, &interface, &id);
        return {Answer::error, interface ? interface->name : "", code};
    }
};

namespace {

const zwp_linux_buffer_params_v1_listener params_listener{
    [](void* data, zwp_linux_buffer_params_v1*, wl_buffer* buffer) {
        auto** slot = static_cast<wl_buffer**>(data);
        *slot = buffer;
    },
    [](void*, zwp_linux_buffer_params_v1*) {}};

} // namespace

DmabufClient::DmabufClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DmabufClient::~DmabufClient() = default;

std::unique_ptr<DmabufClient> DmabufClient::connect(const std::string& socket) {
    wl_log_set_handler_client([](const char*, va_list) {}); // the refusals are what we came for
    auto impl = std::make_unique<Impl>();
    impl->display = wl_display_connect(socket.c_str());
    if (!impl->display) return nullptr;
    static constexpr wl_registry_listener listener{
        [](void* data, wl_registry* registry, std::uint32_t name, const char* interface,
           std::uint32_t version) {
            auto* self = static_cast<Impl*>(data);
            const std::string_view word = interface;
            const auto bind = [&](auto*& object, const wl_interface& type, std::uint32_t wanted) {
                object = static_cast<std::remove_reference_t<decltype(object)>>(
                    wl_registry_bind(registry, name, &type, std::min(version, wanted)));
            };
            if (word == wl_compositor_interface.name) bind(self->compositor, wl_compositor_interface, 4);
            if (word == xdg_wm_base_interface.name) bind(self->wm, xdg_wm_base_interface, 1);
            if (word == zwp_linux_dmabuf_v1_interface.name)
                bind(self->dmabuf, zwp_linux_dmabuf_v1_interface, 3);
        },
        [](void*, wl_registry*, std::uint32_t) {}};
    wl_registry_add_listener(wl_display_get_registry(impl->display), &listener, impl.get());
    wl_display_roundtrip(impl->display);
    if (!impl->dmabuf || !impl->compositor || !impl->wm) return nullptr;
    return std::unique_ptr<DmabufClient>(new DmabufClient(std::move(impl)));
}

DmabufClient::Outcome DmabufClient::create(int fd, std::uint32_t side) {
    auto* params = impl_->params(fd, side);
    wl_buffer* made = nullptr;
    zwp_linux_buffer_params_v1_add_listener(params, &params_listener, &made);
    const auto size = static_cast<std::int32_t>(side);
    zwp_linux_buffer_params_v1_create(params, size, size, share::format::xrgb8888, 0);
    wl_display_roundtrip(impl_->display);
    impl_->created = made != nullptr;
    if (made) impl_->buffer = made;
    auto outcome = impl_->outcome(); // names the params while they live
    zwp_linux_buffer_params_v1_destroy(params);
    return outcome;
}

DmabufClient::Outcome DmabufClient::create_immed(int fd, std::uint32_t side) {
    auto* params = impl_->params(fd, side);
    const auto size = static_cast<std::int32_t>(side);
    impl_->buffer = zwp_linux_buffer_params_v1_create_immed(params, size, size, share::format::xrgb8888, 0);
    wl_display_roundtrip(impl_->display);
    impl_->created = true;
    auto outcome = impl_->outcome();
    zwp_linux_buffer_params_v1_destroy(params);
    return outcome;
}

bool DmabufClient::show() {
    static constexpr xdg_surface_listener on_surface{
        [](void* data, xdg_surface* object, std::uint32_t serial) {
            xdg_surface_ack_configure(object, serial);
            static_cast<Impl*>(data)->configured = true;
        }};
    static constexpr wl_callback_listener on_frame{
        [](void* data, wl_callback*, std::uint32_t) { static_cast<Impl*>(data)->shown = true; }};
    static const xdg_toplevel_listener on_toplevel{
        [](void*, xdg_toplevel*, std::int32_t, std::int32_t, wl_array*) {}, [](void*, xdg_toplevel*) {},
        [](void*, xdg_toplevel*, std::int32_t, std::int32_t) {}, [](void*, xdg_toplevel*, wl_array*) {}};
    auto* surface = wl_compositor_create_surface(impl_->compositor);
    auto* xdg = xdg_wm_base_get_xdg_surface(impl_->wm, surface);
    xdg_surface_add_listener(xdg, &on_surface, impl_.get());
    xdg_toplevel_add_listener(xdg_surface_get_toplevel(xdg), &on_toplevel, nullptr);
    wl_surface_commit(surface);
    while (!impl_->configured)
        if (wl_display_dispatch(impl_->display) < 0) return false;
    wl_surface_attach(surface, impl_->buffer, 0, 0);
    wl_surface_damage_buffer(surface, 0, 0, INT32_MAX, INT32_MAX);
    wl_callback_add_listener(wl_surface_frame(surface), &on_frame, impl_.get());
    wl_surface_commit(surface);
    while (!impl_->shown)
        if (wl_display_dispatch(impl_->display) < 0) return false;
    return true;
}

bool DmabufClient::alive() {
    return wl_display_roundtrip(impl_->display) >= 0;
}

} // namespace testing
