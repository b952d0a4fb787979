// SPDX-License-Identifier: MIT
// Where no /dev/udmabuf is, sealed memfds stand in for dma-bufs, as they do for software renderers.
#include <share/wayland_server/linux_dmabuf.hpp>
#include <share/wayland_server/probe.hpp>

#include <algorithm>
#include <cstring>
#include <random>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux-dmabuf-v1-client.h"
#include <wayland-server-protocol.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "loopback.hpp"
#include "process.hpp"

namespace {

namespace ws = share::wayland_server;
using testing::ProtocolError;
constexpr std::uint64_t tiled = 0x0100000000000001ULL;
constexpr auto xr24 = share::format::xrgb8888;

share::UniqueFd memfd(off_t size, unsigned seals = F_SEAL_SHRINK) {
    share::UniqueFd fd(memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (ftruncate(fd.get(), size) != 0 || (seals && fcntl(fd.get(), F_ADD_SEALS, seals) != 0)) return {};
    return fd;
}

struct Policy : ws::DmabufPolicy {
    std::vector<share::FormatModifier> pairs{{xr24, 0},
                                             {xr24, share::modifier::none},
                                             {xr24, tiled},
                                             {share::format::nv12, 0},
                                             {share::format::yuv420, 0}};
    std::uint64_t device = 0xe280;
    bool memfds = true, importer_refuses = false;
    int imports = 0, refusals = 0;
    mutable std::vector<wl_resource*> asked_for; ///< surfaces whose tranches were asked for
    std::span<const share::FormatModifier> formats() const override { return pairs; }
    std::uint64_t main_device() const override { return device; }
    std::vector<Tranche> tranches(wl_resource* surface) const override {
        asked_for.push_back(surface);
        return DmabufPolicy::tranches(surface);
    }
    bool accepts_memfd() const override { return memfds; }
    share::Result<std::shared_ptr<void>> try_import(const std::shared_ptr<share::Buffer>&) override {
        if (importer_refuses) return share::make_error(share::Code::unsupported, "importing", "test says no");
        ++imports;
        return std::shared_ptr<void>(std::make_shared<int>(imports));
    }
    std::uint32_t supported_flags() const override { return ZWP_LINUX_BUFFER_PARAMS_V1_FLAGS_Y_INVERT; }
    void refused(wl_client*, const share::Error&) override { ++refusals; }
};

struct Server {
    testing::Loopback loop;
    Policy policy;
    std::unique_ptr<ws::LinuxDmabuf> dmabuf;
    explicit Server(const ws::DmabufLimits& limits = {}, std::uint64_t device = 0xe280) {
        policy.device = device;
        dmabuf = std::move(ws::LinuxDmabuf::create(loop.display(), policy, limits)).value();
    }
};

struct DmabufClient : testing::Client {
    explicit DmabufClient(Server& server, std::uint32_t version = 5)
        : Client(server.loop), dmabuf(bind<zwp_linux_dmabuf_v1>(zwp_linux_dmabuf_v1_interface, version)) {}
    ~DmabufClient() {
        for (auto* p : params_made)
            zwp_linux_buffer_params_v1_destroy(p);
        for (auto* b : buffers)
            wl_buffer_destroy(b);
        zwp_linux_dmabuf_v1_destroy(dmabuf);
    }
    zwp_linux_buffer_params_v1* params() {
        auto* made = zwp_linux_dmabuf_v1_create_params(dmabuf);
        static constexpr zwp_linux_buffer_params_v1_listener listener{
            .created = [](void* data, zwp_linux_buffer_params_v1*,
                          wl_buffer* buffer) { static_cast<DmabufClient*>(data)->buffers.push_back(buffer); },
            .failed = [](void* data,
                         zwp_linux_buffer_params_v1*) { ++static_cast<DmabufClient*>(data)->failed; },
        };
        zwp_linux_buffer_params_v1_add_listener(made, &listener, this);
        params_made.push_back(made);
        return made;
    }
    static void add(zwp_linux_buffer_params_v1* to, int fd, std::uint32_t plane = 0, std::uint32_t offset = 0,
                    std::uint32_t stride = 256, std::uint64_t modifier = 0) {
        zwp_linux_buffer_params_v1_add(to, fd, plane, offset, stride,
                                       static_cast<std::uint32_t>(modifier >> 32),
                                       static_cast<std::uint32_t>(modifier));
    }
    void immed(zwp_linux_buffer_params_v1* p, int width, int height, std::uint32_t format = xr24,
               std::uint32_t flags = 0) {
        buffers.push_back(zwp_linux_buffer_params_v1_create_immed(p, width, height, format, flags));
    }
    ws::ClientBuffer* server_side(wl_buffer* buffer) const {
        const auto id = wl_proxy_get_id(reinterpret_cast<wl_proxy*>(buffer));
        return peer() ? ws::ClientBuffer::from(wl_client_get_object(peer(), id)) : nullptr;
    }
    zwp_linux_dmabuf_v1* dmabuf;
    std::vector<zwp_linux_buffer_params_v1*> params_made;
    std::vector<wl_buffer*> buffers;
    int failed = 0;
};

ProtocolError params_error(std::uint32_t code) {
    return {"zwp_linux_buffer_params_v1", code};
}
const ProtocolError no_memory{"wl_display", WL_DISPLAY_ERROR_NO_MEMORY};

} // namespace

TEST_CASE("create gives a wl_buffer over the client's own pages, with what the policy imported") {
    const auto before = testing::count_fds();
    {
        Server server;
        DmabufClient client(server);
        const auto fd = memfd(64 * 256);
        auto* params = client.params();
        client.add(params, fd.get());
        zwp_linux_buffer_params_v1_create(params, 64, 64, xr24, ZWP_LINUX_BUFFER_PARAMS_V1_FLAGS_Y_INVERT);
        REQUIRE(client.roundtrip());
        REQUIRE(client.buffers.size() == 1);
        CHECK(client.failed == 0);
        auto* seen = client.server_side(client.buffers[0]);
        REQUIRE(seen);
        CHECK(seen->kind() == ws::ClientBuffer::Kind::dmabuf);
        CHECK(seen->y_inverted());
        CHECK(seen->imported());
        const std::byte value{7};
        REQUIRE(pwrite(fd.get(), &value, 1, 256 * 5) == 1);
        CHECK(seen->buffer()->map(share::Access::read, share::Deadline::none())->row(0, 5)[0] == value);
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("Hostile params are answered with the protocol's codes, by create and create_immed alike") {
    const auto before = testing::count_fds();
    {
        Server server;
        DmabufClient bystander(server);
        const auto fd = memfd(64 * 256);
        {
            DmabufClient client(server);
            auto* params = client.params();
            const bool immed = GENERATE(false, true);
            const auto finish = [&](int width, int height, std::uint32_t format = xr24,
                                    std::uint32_t flags = 0) {
                if (immed)
                    client.immed(params, width, height, format, flags);
                else
                    zwp_linux_buffer_params_v1_create(params, width, height, format, flags);
            };
            SECTION("use after create") {
                client.add(params, fd.get());
                finish(64, 64);
                REQUIRE(client.alive()); // takes the wl_buffer, which libwayland would leak behind an error
                if (GENERATE(false, true))
                    finish(64, 64);
                else
                    client.add(params, fd.get(), 1);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_ALREADY_USED));
            }
            SECTION("plane index of 4 or more") {
                client.add(params, fd.get(), GENERATE(4U, UINT32_MAX));
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_PLANE_IDX));
            }
            SECTION("the same plane twice") {
                client.add(params, fd.get());
                client.add(params, fd.get());
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_PLANE_SET));
            }
            SECTION("no plane") {
                finish(64, 64);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INCOMPLETE));
            }
            SECTION("a gap") {
                client.add(params, fd.get(), 0);
                client.add(params, fd.get(), 2);
                finish(16, 16, share::format::nv12);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INCOMPLETE));
            }
            SECTION("too few planes") {
                client.add(params, fd.get());
                finish(16, 16, share::format::nv12);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INCOMPLETE));
            }
            SECTION("too many planes") {
                client.add(params, fd.get(), 0);
                client.add(params, fd.get(), 1);
                finish(16, 16);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INCOMPLETE));
            }
            SECTION("a format or modifier that was not advertised") {
                const bool modifier = GENERATE(false, true);
                client.add(params, fd.get(), 0, 0, 256, modifier ? tiled + 1 : 0);
                finish(16, 16, modifier ? xr24 : share::format::rgb565);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT));
            }
            SECTION("planes with different modifiers") {
                client.add(params, fd.get(), 0, 0, 256, 0);
                client.add(params, fd.get(), 1, 0, 256, tiled);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT));
            }
            SECTION("unknown flags") {
                client.add(params, fd.get());
                finish(64, 64, xr24, 8);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT));
            }
            SECTION("width or height of 0, less, or over the limit") {
                const auto [width, height] =
                    GENERATE(std::pair{0, 64}, std::pair{64, 0}, std::pair{-1, 64}, std::pair{64, INT32_MIN},
                             std::pair{65536, 1}, std::pair{1, INT32_MAX});
                client.add(params, fd.get(), 0, 0, UINT32_MAX);
                finish(width, height);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_DIMENSIONS));
            }
            SECTION("offset and stride that leave the memory") {
                const auto [offset, stride] =
                    GENERATE(std::pair{0U, 255U}, std::pair{0U, 0U}, std::pair{1U, 256U}, std::pair{0U, 257U},
                             std::pair{64U * 256U, 256U}, std::pair{UINT32_MAX, 256U},
                             std::pair{0U, UINT32_MAX}, std::pair{UINT32_MAX, UINT32_MAX});
                client.add(params, fd.get(), 0, offset, stride,
                           GENERATE(std::uint64_t{0}, share::modifier::none));
                finish(64, 64);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_OUT_OF_BOUNDS));
            }
            SECTION("an offset beyond the memory with a tiled modifier") {
                client.add(params, fd.get(), 0, 64 * 256, 256, tiled);
                finish(64, 64);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_OUT_OF_BOUNDS));
            }
            SECTION("a subsampled plane that overruns") {
                client.add(params, fd.get(), 0, 0, 128);
                client.add(params, fd.get(), 1, 64 * 256 - 128 * 31, 128);
                finish(128, 64, share::format::nv12);
                CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_OUT_OF_BOUNDS));
            }
        }
        CHECK(bystander.alive());
        CHECK(server.policy.refusals == 0);
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE(
    "What the machine refuses is failed for create, which lives, and invalid_wl_buffer for create_immed") {
    const auto before = testing::count_fds();
    {
        Server server;
        const bool immed = GENERATE(false, true);
        int version = 5;
        share::UniqueFd fd = memfd(64 * 256), other;
        std::uint32_t flags = 0, format = xr24;
        std::uint64_t modifier = 0;
        SECTION("a known flag that is not supported") {
            flags = ZWP_LINUX_BUFFER_PARAMS_V1_FLAGS_INTERLACED;
        }
        SECTION("the importer refuses") {
            server.policy.importer_refuses = true;
        }
        SECTION("a memfd where only dma-bufs are taken") {
            server.policy.memfds = false;
        }
        SECTION("a memfd that can shrink") {
            fd = memfd(64 * 256, 0);
        }
        SECTION("a pipe") {
            int ends[2];
            REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
            fd.reset(ends[0]);
            other.reset(ends[1]);
        }
        SECTION("a device") {
            fd.reset(open("/dev/zero", O_RDWR | O_CLOEXEC));
        }
        SECTION("an O_PATH fd") {
            fd.reset(open("/dev/zero", O_PATH | O_CLOEXEC));
        }
        SECTION("a format that was not advertised, before version 4") {
            version = 3;
            format = share::format::rgb565;
        }
        SECTION("a modifier that was not advertised, before version 4") {
            version = 3;
            modifier = tiled + 1;
        }
        DmabufClient client(server, static_cast<std::uint32_t>(version));
        auto* params = client.params();
        client.add(params, fd.get(), 0, 0, 256, modifier);
        if (immed) {
            client.immed(params, 64, 64, format, flags);
            CHECK(client.error() == params_error(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_WL_BUFFER));
        } else {
            zwp_linux_buffer_params_v1_create(params, 64, 64, format, flags);
            CHECK(client.alive());
            CHECK(client.failed == 1);
            CHECK(client.buffers.empty());
        }
        CHECK(server.policy.refusals == 1);
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("Each quota of linux-dmabuf is no_memory for the client that passes it, and only for it") {
    const auto before = testing::count_fds();
    {
        Server server({.params = 8, .fds = 6, .buffers = 2, .bytes = 3 * 64 * 256});
        DmabufClient bystander(server), client(server);
        const auto make = [&](int fd) {
            auto* params = client.params();
            client.add(params, fd);
            client.immed(params, 64, 64);
        };
        SECTION("params objects") {
            for (int i = 0; i < 9; ++i)
                client.params();
        }
        SECTION("fds waiting in params") {
            for (std::uint32_t i = 0; i < 7; ++i) {
                if (i % 4 == 0) client.params();
                client.add(client.params_made.back(), memfd(4096).get(), i % 4);
            }
        }
        SECTION("buffers") {
            const auto fd = memfd(64 * 256);
            for (int i = 0; i < 3; ++i)
                make(fd.get());
        }
        SECTION("bytes") {
            make(memfd(4 * 64 * 256).get());
        }
        CHECK(client.error() == no_memory);
        CHECK(bystander.alive());
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE(
    "The same dma-buf imported again and again is one Memory and one fd, and counted back when it goes") {
    Server server({.fds = 2, .bytes = 64 * 256});
    DmabufClient client(server);
    const auto fd = memfd(64 * 256);
    REQUIRE(client.roundtrip());
    const auto before = testing::count_fds();
    for (int i = 0; i < 20; ++i) {
        auto* params = client.params();
        client.add(params, fd.get());
        client.immed(params, 64, 64);
        REQUIRE(client.roundtrip());
    }
    CHECK(testing::count_fds() == before + 1);
    const auto& first = client.server_side(client.buffers[0])->buffer()->memory();
    for (auto* buffer : client.buffers)
        CHECK(client.server_side(buffer)->buffer()->memory() == first);
    for (auto* buffer : std::exchange(client.buffers, {}))
        wl_buffer_destroy(buffer);
    REQUIRE(client.roundtrip());
    CHECK(testing::count_fds() == before);
    const auto other = memfd(64 * 256); // the bytes are free again
    auto* params = client.params();
    client.add(params, other.get());
    client.immed(params, 64, 64);
    CHECK(client.alive());
}

TEST_CASE("Planes may lie in different dma-bufs, or at different offsets of one") {
    Server server;
    DmabufClient client(server);
    const auto luma = memfd(64 * 64), chroma = memfd(64 * 32), both = memfd(64 * 96);
    auto* apart = client.params();
    client.add(apart, chroma.get(), 1, 0, 64); // any order
    client.add(apart, luma.get(), 0, 0, 64);
    client.immed(apart, 64, 64, share::format::nv12);
    auto* together = client.params();
    client.add(together, both.get(), 0, 0, 64);
    client.add(together, both.get(), 1, 64 * 64, 64);
    client.immed(together, 64, 64, share::format::nv12);
    REQUIRE(client.roundtrip());
    const auto a = client.server_side(client.buffers[0])->buffer();
    CHECK_FALSE(a->planes_share_memory());
    const auto b = client.server_side(client.buffers[1])->buffer();
    CHECK(b->planes_share_memory());
    const std::byte value{9};
    REQUIRE(pwrite(chroma.get(), &value, 1, 64 * 31) == 1);
    REQUIRE(pwrite(both.get(), &value, 1, 64 * 95) == 1);
    CHECK(a->map(share::Access::read, share::Deadline::none())->row(1, 31)[0] == value);
    CHECK(b->map(share::Access::read, share::Deadline::none())->row(1, 31)[0] == value);
}

TEST_CASE("A Buffer outlives its wl_buffer, its client and the global") {
    const auto before = testing::count_fds();
    {
        Server server;
        const auto fd = memfd(64 * 256);
        std::shared_ptr<share::Buffer> held;
        ws::Weak<ws::ClientBuffer> weak;
        {
            DmabufClient client(server);
            auto* params = client.params();
            client.add(params, fd.get());
            client.immed(params, 64, 64);
            REQUIRE(client.roundtrip());
            weak = client.server_side(client.buffers[0]);
            held = weak->buffer();
            server.dmabuf.reset();
            auto* late = client.params(); // an object of a global that is gone
            client.add(late, fd.get());
            zwp_linux_buffer_params_v1_create(late, 64, 64, xr24, 0);
            CHECK(client.alive());
            CHECK(client.failed == 1);
        }
        CHECK_FALSE(weak);
        const std::byte value{5};
        REQUIRE(pwrite(fd.get(), &value, 1, 0) == 1);
        CHECK(held->map(share::Access::read, share::Deadline::none())->row(0, 0)[0] == value);
    }
    CHECK(testing::count_fds() == before);
}

namespace {

struct Feedback {
    std::vector<share::FormatModifier> table;
    int seals = 0, dones = 0;
    dev_t main = 0;
    struct Tranche {
        dev_t device = 0;
        std::uint32_t flags = 0;
        std::vector<share::FormatModifier> pairs;
    };
    std::vector<Tranche> tranches;
    Tranche current;
};

constexpr zwp_linux_dmabuf_feedback_v1_listener feedback_listener{
    .done = [](void* data, auto*) { ++static_cast<Feedback*>(data)->dones; },
    .format_table =
        [](void* data, auto*, int raw, std::uint32_t size) {
            auto& f = *static_cast<Feedback*>(data);
            const share::UniqueFd fd(raw);
            f.seals = fcntl(raw, F_GET_SEALS);
            void* map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, raw, 0);
            if (map == MAP_FAILED) return;
            f.table.clear();
            f.tranches.clear();
            for (std::uint32_t at = 0; at + 16 <= size; at += 16) {
                share::FormatModifier pair;
                std::memcpy(&pair.format, static_cast<char*>(map) + at, 4);
                std::memcpy(&pair.modifier, static_cast<char*>(map) + at + 8, 8);
                f.table.push_back(pair);
            }
            munmap(map, size);
        },
    .main_device =
        [](void* data, auto*, wl_array* device) {
            if (device->size == sizeof(dev_t))
                std::memcpy(&static_cast<Feedback*>(data)->main, device->data, sizeof(dev_t));
        },
    .tranche_done =
        [](void* data, auto*) {
            auto& f = *static_cast<Feedback*>(data);
            f.tranches.push_back(std::exchange(f.current, {}));
        },
    .tranche_target_device =
        [](void* data, auto*, wl_array* device) {
            if (device->size == sizeof(dev_t))
                std::memcpy(&static_cast<Feedback*>(data)->current.device, device->data, sizeof(dev_t));
        },
    .tranche_formats =
        [](void* data, auto*, wl_array* indices) {
            auto& f = *static_cast<Feedback*>(data);
            const std::span all(static_cast<std::uint16_t*>(indices->data), indices->size / 2);
            for (const auto i : all)
                f.current.pairs.push_back(f.table.at(i));
        },
    .tranche_flags = [](void* data, auto*,
                        std::uint32_t flags) { static_cast<Feedback*>(data)->current.flags = flags; },
};

} // namespace

TEST_CASE(
    "Feedback names the device, gives a sealed table, every pair in its tranche, and comes again on change") {
    const auto before = testing::count_fds();
    {
        Server server;
        if (GENERATE(false, true)) // more pairs than one event can hold
            for (std::uint64_t i = 0; i < 3000; ++i)
                server.policy.pairs.push_back({xr24, tiled + 1 + i});
        REQUIRE(server.dmabuf->feedback_changed());
        DmabufClient client(server);
        CHECK(client.advertised_version("zwp_linux_dmabuf_v1") == 5);
        Feedback seen;
        auto* feedback = zwp_linux_dmabuf_v1_get_default_feedback(client.dmabuf);
        zwp_linux_dmabuf_feedback_v1_add_listener(feedback, &feedback_listener, &seen);
        REQUIRE(client.roundtrip());
        CHECK(seen.dones == 1);
        CHECK(seen.main == server.policy.device);
        CHECK((seen.seals & (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW)) ==
              (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
        auto wanted = server.policy.pairs;
        std::ranges::sort(wanted);
        CHECK(std::ranges::equal(seen.table, wanted));
        REQUIRE(seen.tranches.size() == 1);
        CHECK(seen.tranches[0].device == server.policy.device);
        auto got = seen.tranches[0].pairs;
        std::ranges::sort(got);
        CHECK(std::ranges::equal(got, wanted));

        server.policy.pairs = {{xr24, 0}};
        REQUIRE(server.dmabuf->feedback_changed());
        REQUIRE(client.roundtrip());
        CHECK(seen.dones == 2);
        CHECK(seen.table.size() == 1);
        zwp_linux_dmabuf_feedback_v1_destroy(feedback);
        REQUIRE(client.roundtrip());
        REQUIRE(server.dmabuf->feedback_changed()); // to nobody
    }
    CHECK(testing::count_fds() == before);
}

namespace {

/// No more of a compositor than surfaces that can be created and destroyed.
void make_surfaces_possible(wl_display* display) {
    static const struct wl_surface_interface surface{
        .destroy = [](wl_client*, wl_resource* self) { wl_resource_destroy(self); }};
    static const struct wl_compositor_interface compositor{
        .create_surface = [](wl_client* client, wl_resource*, std::uint32_t id) {
            wl_resource_set_implementation(wl_resource_create(client, &wl_surface_interface, 1, id), &surface,
                                           nullptr, nullptr);
        }};
    wl_global_create(display, &wl_compositor_interface, 1, nullptr,
                     [](wl_client* client, void*, std::uint32_t version, std::uint32_t id) {
                         wl_resource_set_implementation(wl_resource_create(client, &wl_compositor_interface,
                                                                           static_cast<int>(version), id),
                                                        &compositor, nullptr, nullptr);
                     });
}

} // namespace

TEST_CASE("Feedback of a surface is asked of the policy for that surface, and falls silent when it goes") {
    const auto before = testing::count_fds();
    {
        Server server;
        make_surfaces_possible(server.loop.display());
        DmabufClient client(server);
        auto* compositor = client.bind<wl_compositor>(wl_compositor_interface, 1);
        auto* surface = wl_compositor_create_surface(compositor);
        Feedback seen;
        auto* feedback = zwp_linux_dmabuf_v1_get_surface_feedback(client.dmabuf, surface);
        zwp_linux_dmabuf_feedback_v1_add_listener(feedback, &feedback_listener, &seen);
        REQUIRE(client.roundtrip());
        CHECK(seen.dones == 1);
        CHECK(seen.tranches.size() == 1);
        auto* const there =
            wl_client_get_object(client.peer(), wl_proxy_get_id(reinterpret_cast<wl_proxy*>(surface)));
        REQUIRE(there != nullptr);
        CHECK(server.policy.asked_for == std::vector<wl_resource*>{there});
        REQUIRE(server.dmabuf->feedback_changed());
        REQUIRE(client.roundtrip());
        CHECK(seen.dones == 2);

        wl_surface_destroy(surface);
        REQUIRE(client.roundtrip());
        REQUIRE(server.dmabuf->feedback_changed());
        REQUIRE(client.roundtrip());
        CHECK(seen.dones == 2);
        CHECK(server.policy.asked_for.size() == 2);
        zwp_linux_dmabuf_feedback_v1_destroy(feedback);
        REQUIRE(client.alive());
        wl_compositor_destroy(compositor);
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("Without a device to name, version 3 sends formats and modifiers; later versions send none") {
    Server server({}, GENERATE(std::uint64_t{0}, std::uint64_t{0xe280}));
    const auto version = server.dmabuf->version();
    CHECK(version == (server.policy.device ? 5U : 3U));
    testing::Client client(server.loop);
    CHECK(client.advertised_version("zwp_linux_dmabuf_v1") == version);
    struct Seen {
        std::vector<std::uint32_t> formats;
        std::vector<share::FormatModifier> pairs;
    } seen;
    static constexpr zwp_linux_dmabuf_v1_listener listener{
        .format = [](void* data, auto*,
                     std::uint32_t format) { static_cast<Seen*>(data)->formats.push_back(format); },
        .modifier =
            [](void* data, auto*, std::uint32_t format, std::uint32_t hi, std::uint32_t lo) {
                static_cast<Seen*>(data)->pairs.push_back({format, (std::uint64_t{hi} << 32) | lo});
            }};
    const auto bound = GENERATE_COPY(std::uint32_t{1}, std::uint32_t{3}, version);
    auto* dmabuf = client.bind<zwp_linux_dmabuf_v1>(zwp_linux_dmabuf_v1_interface, bound);
    zwp_linux_dmabuf_v1_add_listener(dmabuf, &listener, &seen);
    REQUIRE(client.roundtrip());
    auto wanted = server.policy.pairs;
    std::ranges::sort(wanted);
    std::ranges::sort(seen.pairs);
    std::ranges::sort(seen.formats);
    if (bound == 3)
        CHECK(std::ranges::equal(seen.pairs, wanted));
    else
        CHECK(seen.pairs.empty());
    if (bound == 3)
        CHECK(seen.formats == std::vector<std::uint32_t>{xr24});
    else if (bound >= 4)
        CHECK(seen.formats.empty());
    else
        CHECK(seen.formats.size() == 3);
    zwp_linux_dmabuf_v1_destroy(dmabuf);
}

TEST_CASE("Objects destroyed in any order, or by a crash at any moment, leave nothing behind") {
    std::mt19937 random(GENERATE(1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U));
    const auto before = testing::count_fds();
    {
        Server server;
        const auto fd = memfd(64 * 256);
        DmabufClient client(server), bystander(server);
        std::vector<std::pair<void*, void (*)(void*)>> objects;
        for (int i = 0; i < 6; ++i) {
            auto* params = client.params();
            client.add(params, fd.get());
            if (i % 2) client.immed(params, 64, 64);
        }
        REQUIRE(client.roundtrip());
        for (auto* p : std::exchange(client.params_made, {}))
            objects.emplace_back(p, [](void* o) {
                zwp_linux_buffer_params_v1_destroy(static_cast<zwp_linux_buffer_params_v1*>(o));
            });
        for (auto* b : std::exchange(client.buffers, {}))
            objects.emplace_back(b, [](void* o) { wl_buffer_destroy(static_cast<wl_buffer*>(o)); });
        std::shuffle(objects.begin(), objects.end(), random);
        const auto crash_at = random() % (2 * objects.size());
        for (std::size_t i = 0; i < objects.size(); ++i) {
            if (i == crash_at) shutdown(wl_display_get_fd(client.display()), 2);
            objects[i].second(objects[i].first);
            if (i < crash_at) CHECK(client.alive());
        }
        CHECK(bystander.alive());
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("Probing tells good, bad and unprobeable apart, and offers all but the bad") {
    auto table = share::HeapTable::probe();
    auto heap = table.find("memfd");
    REQUIRE(heap);
    const share::FormatModifier candidates[] = {{xr24, 0},
                                                {xr24, share::modifier::none},
                                                {share::format::nv12, 0},
                                                {xr24, tiled},
                                                {share::fourcc('?', '?', '?', '?'), 0}};
    std::vector<std::uint64_t> tried;
    const auto results = ws::probe_formats(
        candidates, **heap, [&](const std::shared_ptr<share::Buffer>& buffer) -> share::Result<void> {
            tried.push_back(buffer->layout().modifier());
            if (buffer->layout().format() == share::format::nv12)
                return share::make_error(share::Code::unsupported, "importing NV12", "the driver says no");
            return {};
        });
    REQUIRE(results.size() == 5);
    CHECK(results[0].state == share::ProbeState::good);
    CHECK(results[1].state == share::ProbeState::good);
    CHECK(results[2].state == share::ProbeState::bad);
    CHECK(results[2].reason.find("the driver says no") != std::string::npos);
    CHECK(results[3].state == share::ProbeState::unprobeable);
    CHECK_FALSE(results[3].reason.empty());
    CHECK(results[4].state == share::ProbeState::bad);
    CHECK(tried == std::vector<std::uint64_t>{0, share::modifier::none, 0});
    CHECK(ws::offered(results) ==
          std::vector<share::FormatModifier>{candidates[0], candidates[1], candidates[3]});
}
