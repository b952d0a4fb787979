// SPDX-License-Identifier: MIT
// Advertised means accepted: a buffer of every pair and format that share-compositor offers is created.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <wayland-client.h>

#include "linux-dmabuf-v1-client.h"

#include <share/layout.hpp>

#include "display_servers.hpp"

using namespace integration;

namespace {

struct Pair {
    std::uint32_t format;
    std::uint64_t modifier;
};

struct Client {
    wl_display* display = nullptr;
    wl_shm* shm = nullptr;
    zwp_linux_dmabuf_v1* dmabuf = nullptr;
    std::vector<Pair> pairs;
    std::vector<std::uint32_t> shm_formats;

    explicit Client(const std::string& socket) : display(wl_display_connect(socket.c_str())) {
        if (!display) return;
        static constexpr wl_registry_listener listener{on_global, [](void*, wl_registry*, std::uint32_t) {}};
        wl_registry_add_listener(wl_display_get_registry(display), &listener, this);
        wl_display_roundtrip(display);
        wl_display_roundtrip(display);
    }
    ~Client() {
        if (display) wl_display_disconnect(display);
    }

    static void on_global(void* data, wl_registry* registry, std::uint32_t name, const char* interface,
                          std::uint32_t version) {
        auto* self = static_cast<Client*>(data);
        if (std::string_view(interface) == wl_shm_interface.name) {
            self->shm = static_cast<wl_shm*>(wl_registry_bind(registry, name, &wl_shm_interface, 1));
            static constexpr wl_shm_listener listener{[](void* client, wl_shm*, std::uint32_t format) {
                static_cast<Client*>(client)->shm_formats.push_back(format);
            }};
            wl_shm_add_listener(self->shm, &listener, self);
        }
        if (std::string_view(interface) == zwp_linux_dmabuf_v1_interface.name) {
            self->dmabuf = static_cast<zwp_linux_dmabuf_v1*>(
                wl_registry_bind(registry, name, &zwp_linux_dmabuf_v1_interface, std::min(version, 3U)));
            static constexpr zwp_linux_dmabuf_v1_listener listener{
                [](void*, zwp_linux_dmabuf_v1*, std::uint32_t) {},
                [](void* client, zwp_linux_dmabuf_v1*, std::uint32_t format, std::uint32_t high,
                   std::uint32_t low) {
                    static_cast<Client*>(client)->pairs.push_back({format, std::uint64_t{high} << 32 | low});
                }};
            zwp_linux_dmabuf_v1_add_listener(self->dmabuf, &listener, self);
        }
    }

    /// What the compositor answers: 1 created, -1 failed, 0 nothing (the connection died).
    int create(const Pair& pair, int fd, const share::Layout& layout) {
        int answer = 0;
        static constexpr zwp_linux_buffer_params_v1_listener listener{
            [](void* data, zwp_linux_buffer_params_v1*, wl_buffer* buffer) {
                *static_cast<int*>(data) = 1;
                wl_buffer_destroy(buffer);
            },
            [](void* data, zwp_linux_buffer_params_v1*) { *static_cast<int*>(data) = -1; }};
        auto* params = zwp_linux_dmabuf_v1_create_params(dmabuf);
        zwp_linux_buffer_params_v1_add_listener(params, &listener, &answer);
        for (std::uint32_t i = 0; i < layout.plane_count(); ++i)
            zwp_linux_buffer_params_v1_add(
                params, fd, i, static_cast<std::uint32_t>(layout.plane(i).offset), layout.plane(i).stride,
                static_cast<std::uint32_t>(pair.modifier >> 32), static_cast<std::uint32_t>(pair.modifier));
        zwp_linux_buffer_params_v1_create(params, static_cast<std::int32_t>(layout.width()),
                                          static_cast<std::int32_t>(layout.height()), pair.format, 0);
        wl_display_roundtrip(display);
        zwp_linux_buffer_params_v1_destroy(params);
        return answer;
    }
};

share::UniqueFd sealed_memfd(std::uint64_t size) {
    share::UniqueFd fd(memfd_create("formats", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (ftruncate(fd.get(), static_cast<off_t>(size)) < 0 || fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) < 0)
        return {};
    return fd;
}

} // namespace

TEST_CASE("a buffer of every advertised format and modifier is created", "[formats]") {
    const auto renderer = GENERATE(std::string("pixman"), std::string("gl"));
    Compositor compositor({.renderer = renderer});
    Client client(compositor.socket());
    if (!client.display && renderer == "gl")
        SKIP("the gl renderer does not run here: " + compositor.process().err());
    REQUIRE(client.display);
    REQUIRE(client.dmabuf);
    CHECK(client.pairs.size() >= 4);
    for (const auto& pair : client.pairs) {
        CAPTURE(renderer, share::fourcc_text(pair.format), share::modifier_text(pair.modifier));
        // Of a tiled layout only the driver can make a buffer; these are advertised on its word.
        if (pair.modifier != share::modifier::linear && pair.modifier != share::modifier::none) continue;
        for (const auto& [width, height] : {std::pair{64U, 32U}, {1920U, 1080U}, {33U, 17U}}) {
            auto layout = share::Layout::linear(width, height, pair.format);
            REQUIRE(layout);
            const auto fd = sealed_memfd(layout->size());
            REQUIRE(fd);
            CHECK(client.create(pair, fd.get(), *layout) == 1);
        }
    }
    CHECK(wl_display_get_error(client.display) == 0);
}

TEST_CASE("a buffer of every advertised wl_shm format is created", "[formats]") {
    const auto renderer = GENERATE(std::string("pixman"), std::string("gl"));
    Compositor compositor({.renderer = renderer});
    Client client(compositor.socket());
    if (!client.display && renderer == "gl")
        SKIP("the gl renderer does not run here: " + compositor.process().err());
    REQUIRE(client.display);
    REQUIRE(client.shm);
    CHECK(std::ranges::count(client.shm_formats, std::uint32_t{WL_SHM_FORMAT_ARGB8888}) == 1);
    CHECK(std::ranges::count(client.shm_formats, std::uint32_t{WL_SHM_FORMAT_XRGB8888}) == 1);
    for (const auto code : client.shm_formats) {
        const share::Fourcc format = code == WL_SHM_FORMAT_ARGB8888   ? share::format::argb8888
                                     : code == WL_SHM_FORMAT_XRGB8888 ? share::format::xrgb8888
                                                                      : code;
        CAPTURE(renderer, share::fourcc_text(format));
        auto layout = share::Layout::linear(64, 32, format);
        REQUIRE(layout);
        const auto fd = sealed_memfd(layout->size());
        wl_shm_pool* pool =
            wl_shm_create_pool(client.shm, fd.get(), static_cast<std::int32_t>(layout->size()));
        wl_buffer* buffer = wl_shm_pool_create_buffer(
            pool, 0, 64, 32, static_cast<std::int32_t>(layout->plane(0).stride), code);
        wl_display_roundtrip(client.display);
        REQUIRE(wl_display_get_error(client.display) == 0);
        wl_buffer_destroy(buffer);
        wl_shm_pool_destroy(pool);
    }
}
