// SPDX-License-Identifier: MIT
#include "client.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>

#include <wayland-client.h>

#include "linux-dmabuf-v1-client.h"
#include "xdg-shell-client.h"

#include <share/unique_fd.hpp>

namespace bench {
namespace {

constexpr std::size_t buffer_count = 3;
constexpr std::uint32_t xrgb = 0x34325258; // XR24

} // namespace

struct Client::Impl {
    struct Slot {
        wl_buffer* buffer = nullptr;
        bool busy = false;
        std::byte* bytes = nullptr;
    };
    Options options;
    wl_display* display = nullptr;
    wl_compositor* compositor = nullptr;
    wl_subcompositor* subcompositor = nullptr;
    wl_shm* shm = nullptr;
    xdg_wm_base* wm = nullptr;
    zwp_linux_dmabuf_v1* dmabuf = nullptr;
    wl_surface* surface = nullptr;
    wl_surface* small = nullptr;
    xdg_surface* xdg = nullptr;
    xdg_toplevel* toplevel = nullptr;
    bool configured = false;
    bool frame_done = false;
    bool dmabuf_failed = false;
    std::array<Slot, buffer_count> slots;
    std::size_t current = 0;
    share::UniqueFd file;
    std::byte* bytes = nullptr;
    std::size_t frame_bytes = 0;

    ~Impl() {
        if (bytes) munmap(bytes, frame_bytes * buffer_count);
        if (display) wl_display_disconnect(display);
    }

    /// Dispatches until `done`, at most ten seconds.
    template<class F>
    bool until(F done) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!done()) {
            while (wl_display_prepare_read(display) != 0)
                if (wl_display_dispatch_pending(display) < 0) return false;
            wl_display_flush(display);
            if (done()) {
                wl_display_cancel_read(display);
                return true;
            }
            pollfd entry{wl_display_get_fd(display), POLLIN, 0};
            const int ready = poll(&entry, 1, 1000);
            if (ready > 0)
                wl_display_read_events(display);
            else
                wl_display_cancel_read(display);
            if (wl_display_dispatch_pending(display) < 0 || std::chrono::steady_clock::now() > end)
                return false;
        }
        return true;
    }

    bool roundtrip() {
        bool done = false;
        static constexpr wl_callback_listener listener{[](void* data, wl_callback* callback, std::uint32_t) {
            *static_cast<bool*>(data) = true;
            wl_callback_destroy(callback);
        }};
        wl_callback_add_listener(wl_display_sync(display), &listener, &done);
        return until([&] { return done; });
    }

    void bind_globals();
    bool make_memory();
    bool make_buffers();
    void make_small();
    bool make_window();
};

void Client::Impl::bind_globals() {
    static constexpr wl_registry_listener listener{
        [](void* data, wl_registry* registry, std::uint32_t name, const char* interface,
           std::uint32_t version) {
            auto* self = static_cast<Impl*>(data);
            const std::string_view word = interface;
            const auto bind = [&](auto*& object, const wl_interface& type, std::uint32_t wanted) {
                object = static_cast<std::remove_reference_t<decltype(object)>>(
                    wl_registry_bind(registry, name, &type, std::min(version, wanted)));
            };
            if (word == wl_compositor_interface.name)
                bind(self->compositor, wl_compositor_interface, 4);
            else if (word == wl_subcompositor_interface.name)
                bind(self->subcompositor, wl_subcompositor_interface, 1);
            else if (word == wl_shm_interface.name)
                bind(self->shm, wl_shm_interface, 1);
            else if (word == xdg_wm_base_interface.name)
                bind(self->wm, xdg_wm_base_interface, 1);
            else if (word == zwp_linux_dmabuf_v1_interface.name)
                bind(self->dmabuf, zwp_linux_dmabuf_v1_interface, 3);
        },
        [](void*, wl_registry*, std::uint32_t) {}};
    wl_registry_add_listener(wl_display_get_registry(display), &listener, this);
}

bool Client::Impl::make_memory() {
    frame_bytes = static_cast<std::size_t>(options.width) * static_cast<std::size_t>(options.height) * 4;
    file.reset(memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const std::size_t all = frame_bytes * buffer_count;
    if (!file || ftruncate(file.get(), static_cast<off_t>(all)) < 0) return false;
    fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    void* address = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (address == MAP_FAILED) return false;
    bytes = static_cast<std::byte*>(address);
    std::memset(bytes, 0x40, all);
    return true;
}

bool Client::Impl::make_buffers() {
    static constexpr wl_buffer_listener released{
        [](void* data, wl_buffer*) { static_cast<Slot*>(data)->busy = false; }};
    static constexpr zwp_linux_buffer_params_v1_listener answered{
        [](void* data, zwp_linux_buffer_params_v1*, wl_buffer* buffer) {
            static_cast<Slot*>(data)->buffer = buffer;
        },
        [](void* data, zwp_linux_buffer_params_v1*) { static_cast<Slot*>(data)->busy = true; }};
    const int stride = options.width * 4;
    wl_shm_pool* pool =
        options.dmabuf ? nullptr
                       : wl_shm_create_pool(shm, file.get(), static_cast<int>(frame_bytes * buffer_count));
    for (std::size_t i = 0; i < buffer_count; ++i) {
        slots[i].bytes = bytes + frame_bytes * i;
        if (pool) {
            slots[i].buffer =
                wl_shm_pool_create_buffer(pool, static_cast<int>(frame_bytes * i), options.width,
                                          options.height, stride, WL_SHM_FORMAT_XRGB8888);
        } else {
            auto* params = zwp_linux_dmabuf_v1_create_params(dmabuf);
            zwp_linux_buffer_params_v1_add(params, file.get(), 0, static_cast<std::uint32_t>(frame_bytes * i),
                                           static_cast<std::uint32_t>(stride), 0, 0);
            zwp_linux_buffer_params_v1_add_listener(params, &answered, &slots[i]);
            zwp_linux_buffer_params_v1_create(params, options.width, options.height, xrgb, 0);
            if (!until([&] { return slots[i].buffer || slots[i].busy; }) || slots[i].busy) return false;
            zwp_linux_buffer_params_v1_destroy(params);
        }
        wl_buffer_add_listener(slots[i].buffer, &released, &slots[i]);
    }
    if (pool) wl_shm_pool_destroy(pool);
    return true;
}

void Client::Impl::make_small() {
    const int side = 64;
    const share::UniqueFd fd(memfd_create("bench-small", MFD_CLOEXEC));
    if (!fd || ftruncate(fd.get(), side * side * 4) < 0) return;
    wl_shm_pool* pool = wl_shm_create_pool(shm, fd.get(), side * side * 4);
    wl_buffer* buffer = wl_shm_pool_create_buffer(pool, 0, side, side, side * 4, WL_SHM_FORMAT_XRGB8888);
    wl_shm_pool_destroy(pool);
    small = wl_compositor_create_surface(compositor);
    wl_subsurface* sub = wl_subcompositor_get_subsurface(subcompositor, small, surface);
    wl_subsurface_set_position(sub, 100, 100);
    wl_surface_attach(small, buffer, 0, 0);
    wl_surface_damage_buffer(small, 0, 0, side, side);
    wl_surface_commit(small);
}

bool Client::Impl::make_window() {
    static constexpr xdg_surface_listener on_surface{
        [](void* data, xdg_surface* object, std::uint32_t serial) {
            xdg_surface_ack_configure(object, serial);
            static_cast<Impl*>(data)->configured = true;
        }};
    static constexpr xdg_wm_base_listener on_wm{
        [](void*, xdg_wm_base* object, std::uint32_t serial) { xdg_wm_base_pong(object, serial); }};
    xdg_wm_base_add_listener(wm, &on_wm, this);
    surface = wl_compositor_create_surface(compositor);
    xdg = xdg_wm_base_get_xdg_surface(wm, surface);
    xdg_surface_add_listener(xdg, &on_surface, this);
    toplevel = xdg_surface_get_toplevel(xdg);
    static const xdg_toplevel_listener on_toplevel{
        [](void*, xdg_toplevel*, std::int32_t, std::int32_t, wl_array*) {}, [](void*, xdg_toplevel*) {},
        [](void*, xdg_toplevel*, std::int32_t, std::int32_t) {}, [](void*, xdg_toplevel*, wl_array*) {}};
    xdg_toplevel_add_listener(toplevel, &on_toplevel, this);
    xdg_toplevel_set_fullscreen(toplevel, nullptr);
    wl_surface_commit(surface);
    if (options.overlay) make_small();
    return until([&] { return configured; });
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

std::unique_ptr<Client> Client::create(const Options& options, std::string& why) {
    auto impl = std::make_unique<Impl>();
    impl->options = options;
    const auto refuse = [&](const char* text) {
        why = text;
        return nullptr;
    };
    impl->display = wl_display_connect(options.socket.c_str());
    if (!impl->display) return refuse("cannot connect");
    impl->bind_globals();
    if (!impl->roundtrip()) return refuse("no answer");
    if (!impl->compositor || !impl->shm || !impl->wm || !impl->subcompositor)
        return refuse("a global is missing");
    if (options.dmabuf && !impl->dmabuf) return refuse("no linux-dmabuf");
    if (!impl->make_memory()) return refuse("no memory");
    if (!impl->make_window()) return refuse("no configure");
    if (!impl->make_buffers()) return refuse("the memfd was refused as dma-buf");
    return std::unique_ptr<Client>(new Client(std::move(impl)));
}

std::span<std::byte> Client::next() {
    const auto find = [&] {
        for (std::size_t i = 1; i <= buffer_count; ++i) {
            const std::size_t at = (impl_->current + i) % buffer_count;
            if (impl_->slots[at].busy) continue;
            impl_->current = at;
            return true;
        }
        return false;
    };
    if (!impl_->until(find)) return {};
    return {impl_->slots[impl_->current].bytes, impl_->frame_bytes};
}

bool Client::present(int damage) {
    auto& slot = impl_->slots[impl_->current];
    static constexpr wl_callback_listener listener{[](void* data, wl_callback* callback, std::uint32_t) {
        *static_cast<bool*>(data) = true;
        wl_callback_destroy(callback);
    }};
    impl_->frame_done = false;
    wl_surface_attach(impl_->surface, slot.buffer, 0, 0);
    if (damage > 0)
        wl_surface_damage_buffer(impl_->surface, 300, 300, damage, damage);
    else
        wl_surface_damage_buffer(impl_->surface, 0, 0, impl_->options.width, impl_->options.height);
    wl_callback_add_listener(wl_surface_frame(impl_->surface), &listener, &impl_->frame_done);
    slot.busy = true;
    wl_surface_commit(impl_->surface);
    return impl_->until([&] { return impl_->frame_done; });
}

} // namespace bench
