// SPDX-License-Identifier: MIT
#include <share/wayland_server/resource.hpp>

#include <new>

#include <sys/mman.h>
#include <wayland-server-protocol.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "loopback.hpp"
#include "process.hpp"

namespace {

namespace ws = share::wayland_server;

// Two protocols with few requests stand in for any: wl_compositor makes regions, wl_shm takes an fd.
class Region : public ws::Resource<Region, &wl_region_interface, struct wl_region_interface> {
public:
    static const Requests requests;
    Region(ws::NewResource resource, int& living) : Resource(resource), living_(living) { ++living_; }
    ~Region() override { --living_; }
    int added = 0;

private:
    ws::Outcome add(std::int32_t, std::int32_t, std::int32_t width, std::int32_t) {
        if (width < 0) return ws::refuse(7, "negative width");
        if (width == 1234) throw std::bad_alloc();
        if (width == 99) return ws::refuse_no_memory("quota of 98 reached");
        added += width;
        return ws::accepted;
    }
    void subtract(std::int32_t, std::int32_t, std::int32_t, std::int32_t) noexcept { --added; }
    int& living_;
};
const Region::Requests Region::requests{{.destroy = ws::request<&Region::destroy>,
                                         .add = ws::request<&Region::add>,
                                         .subtract = ws::request<&Region::subtract>}};

class Shm : public ws::Resource<Shm, &wl_shm_interface, struct wl_shm_interface> {
public:
    static const Requests requests;
    explicit Shm(ws::NewResource resource) : Resource(resource) {}

private:
    ws::Outcome create_pool(std::uint32_t, share::UniqueFd fd, std::int32_t) {
        if (fd.valid()) return ws::refuse(WL_SHM_ERROR_INVALID_FD, "the fd is closed by its owner");
        return ws::accepted;
    }
};
const Shm::Requests Shm::requests{
    {.create_pool = ws::request<&Shm::create_pool>, .release = ws::request<&Shm::destroy>}};

struct Server {
    testing::Loopback loop;
    int living = 0;
    std::vector<ws::Weak<Region>> regions;
    ws::Global compositor, shm;

    class Compositor
        : public ws::Resource<Compositor, &wl_compositor_interface, struct wl_compositor_interface> {
    public:
        static const Requests requests;
        Compositor(ws::NewResource resource, Server& server) : Resource(resource), server_(server) {}

    private:
        void create_surface(std::uint32_t) {}
        void create_region(std::uint32_t id) {
            if (auto* region = Region::create(client(), version(), id, server_.living))
                server_.regions.push_back(region);
        }
        Server& server_;
    };

    Server() {
        compositor =
            ws::Global::create<&Server::bind_compositor>(loop.display(), wl_compositor_interface, 4, *this);
        shm = ws::Global::create<&Server::bind_shm>(loop.display(), wl_shm_interface, 2, *this);
    }
    void bind_compositor(wl_client* client, std::uint32_t version, std::uint32_t id) {
        Compositor::create(client, version, id, *this);
    }
    void bind_shm(wl_client* client, std::uint32_t version, std::uint32_t id) {
        Shm::create(client, version, id);
    }
};
const Server::Compositor::Requests Server::Compositor::requests{
    {.create_surface = ws::request<&Compositor::create_surface>,
     .create_region = ws::request<&Compositor::create_region>}};

struct Watcher {
    int told = 0;
    void gone() { ++told; }
    ws::DestroyWatch<&Watcher::gone> watch{*this};
};

} // namespace

TEST_CASE("A request table with a hole is seen at compile time") {
    struct Table {
        void (*a)();
        void (*b)(int);
    };
    STATIC_CHECK(ws::detail::complete(Table{[] {}, [](int) {}}));
    STATIC_CHECK_FALSE(ws::detail::complete(Table{[] {}, nullptr}));
}

TEST_CASE(
    "A handler's refusal is posted with its code on the object that was asked, and costs that client alone") {
    Server server;
    testing::Client client(server.loop), bystander(server.loop);
    auto* compositor = client.bind<wl_compositor>(wl_compositor_interface, 4);
    auto* region = wl_compositor_create_region(compositor);
    wl_region_add(region, 0, 0, 10, 1);
    REQUIRE(client.roundtrip());
    CHECK(server.regions.at(0)->added == 10);
    CHECK(server.regions.at(0)->version() == 4);

    wl_region_add(region, 0, 0, -1, 1);
    CHECK(client.error() == testing::ProtocolError{"wl_region", 7});
    CHECK(server.living == 0);
    CHECK(bystander.alive());
    wl_region_destroy(region);
    wl_compositor_destroy(compositor);
}

TEST_CASE("bad_alloc in a handler and a reached quota are no_memory for the client") {
    Server server;
    testing::Client client(server.loop);
    auto* compositor = client.bind<wl_compositor>(wl_compositor_interface, 4);
    auto* region = wl_compositor_create_region(compositor);
    wl_region_add(region, 0, 0, GENERATE(1234, 99), 1);
    CHECK(client.error() == testing::ProtocolError{"wl_display", WL_DISPLAY_ERROR_NO_MEMORY});
    wl_region_destroy(region);
    wl_compositor_destroy(compositor);
}

TEST_CASE("An fd argument is owned by the handler and closed on refusal") {
    const auto before = testing::count_fds();
    {
        Server server;
        testing::Client client(server.loop);
        auto* shm = client.bind<wl_shm>(wl_shm_interface, 2);
        const share::UniqueFd fd(memfd_create("pool", MFD_CLOEXEC));
        auto* pool = wl_shm_create_pool(shm, fd.get(), 4096);
        CHECK(client.error() == testing::ProtocolError{"wl_shm", WL_SHM_ERROR_INVALID_FD});
        wl_shm_pool_destroy(pool);
        wl_shm_release(shm);
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("from() knows our objects from others of the same interface") {
    Server server;
    testing::Client client(server.loop);
    auto* compositor = client.bind<wl_compositor>(wl_compositor_interface, 4);
    auto* region = wl_compositor_create_region(compositor);
    REQUIRE(client.roundtrip());
    Region* ours = server.regions.at(0).get();
    CHECK(Region::from(ours->resource()) == ours);
    CHECK(Region::from(nullptr) == nullptr);
    CHECK(Shm::from(ours->resource()) == nullptr);
    wl_resource* foreign = wl_resource_create(client.peer(), &wl_region_interface, 1, 0);
    CHECK(Region::from(foreign) == nullptr);
    wl_resource_destroy(foreign);
    wl_region_destroy(region);
    wl_compositor_destroy(compositor);
}

TEST_CASE(
    "A Weak handle is null, and a DestroyWatch told once, when the resource dies, by request or disconnect") {
    Server server;
    testing::Client client(server.loop);
    Watcher first, second;
    auto* compositor = client.bind<wl_compositor>(wl_compositor_interface, 4);
    auto* a = wl_compositor_create_region(compositor);
    auto* b = wl_compositor_create_region(compositor);
    REQUIRE(client.roundtrip());
    REQUIRE(server.living == 2);
    first.watch.watch(server.regions[0]->resource());
    second.watch.watch(server.regions[1]->resource());
    ws::Weak<Region> copy = server.regions[1];

    wl_region_destroy(a);
    REQUIRE(client.roundtrip());
    CHECK_FALSE(server.regions[0]);
    CHECK(server.regions[0].expired());
    CHECK(first.told == 1);
    CHECK(server.regions[1].get() == copy.get());
    CHECK(server.living == 1);

    wl_region_destroy(b);
    wl_compositor_destroy(compositor);
    client.disconnect();
    CHECK_FALSE(copy);
    CHECK(second.told == 1);
    CHECK(server.living == 0);
}
