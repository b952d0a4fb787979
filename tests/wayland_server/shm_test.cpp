// SPDX-License-Identifier: MIT
#include <share/wayland_server/guarded_read.hpp>
#include <share/wayland_server/shm.hpp>

#include <cstring>
#include <set>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wayland-server-protocol.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "loopback.hpp"
#include "process.hpp"

namespace {

namespace ws = share::wayland_server;
using testing::ProtocolError;

share::UniqueFd memfd(off_t size, unsigned seals = 0) {
    share::UniqueFd fd(memfd_create("pool", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (ftruncate(fd.get(), size) != 0 || (seals && fcntl(fd.get(), F_ADD_SEALS, seals) != 0)) return {};
    return fd;
}

struct Server {
    testing::Loopback loop;
    std::unique_ptr<ws::Shm> shm;
    explicit Server(const ws::ShmConfig& config = {}) {
        const share::Fourcc formats[] = {share::format::xrgb8888, share::format::rgb565, share::format::nv12,
                                         share::format::yuv420, share::fourcc('?', '?', '?', '?')};
        shm = std::move(ws::Shm::create(loop.display(), formats, config)).value();
    }
};

/// A client with wl_shm bound; its proxies go with it.
struct ShmClient : testing::Client {
    explicit ShmClient(Server& server) : Client(server.loop), shm(bind<wl_shm>(wl_shm_interface, 2)) {}
    wl_shm_pool* pool(int fd, std::int32_t size) {
        return own(wl_shm_create_pool(shm, fd, size),
                   [](void* p) { wl_shm_pool_destroy(static_cast<wl_shm_pool*>(p)); });
    }
    wl_buffer* buffer(wl_shm_pool* from, int offset, int width, int height, int stride,
                      std::uint32_t format = WL_SHM_FORMAT_XRGB8888) {
        return own(wl_shm_pool_create_buffer(from, offset, width, height, stride, format),
                   [](void* p) { wl_buffer_destroy(static_cast<wl_buffer*>(p)); });
    }
    void destroy(void* proxy) {
        for (auto& [p, destructor] : owned)
            if (p == proxy) std::exchange(destructor, [](void*) {})(p);
    }
    /// The server's object behind one of ours.
    ws::ClientBuffer* server_side(wl_buffer* buffer) const {
        const auto id = wl_proxy_get_id(reinterpret_cast<wl_proxy*>(buffer));
        return peer() ? ws::ClientBuffer::from(wl_client_get_object(peer(), id)) : nullptr;
    }
    ~ShmClient() {
        for (auto& [p, destructor] : owned)
            destructor(p);
        wl_shm_destroy(shm);
    }
    template<class P>
    P* own(P* proxy, void (*destructor)(void*)) {
        owned.emplace_back(proxy, destructor);
        return proxy;
    }
    wl_shm* shm;
    std::vector<std::pair<void*, void (*)(void*)>> owned;
};

ProtocolError shm_error(const char* object, std::uint32_t code) {
    return {object, code};
}

} // namespace

TEST_CASE(
    "wl_shm version 2 advertises ARGB8888, XRGB8888 and the known formats of the compositor, once each") {
    Server server;
    testing::Client client(server.loop);
    CHECK(client.advertised_version("wl_shm") == 2);
    auto* shm = client.bind<wl_shm>(wl_shm_interface, 2);
    std::multiset<std::uint32_t> formats;
    static constexpr wl_shm_listener listener{.format = [](void* data, wl_shm*, std::uint32_t format) {
        static_cast<std::multiset<std::uint32_t>*>(data)->insert(format);
    }};
    wl_shm_add_listener(shm, &listener, &formats);
    REQUIRE(client.roundtrip());
    CHECK(formats ==
          std::multiset<std::uint32_t>{0, 1, WL_SHM_FORMAT_RGB565, WL_SHM_FORMAT_NV12, WL_SHM_FORMAT_YUV420});
    wl_shm_release(shm);
    CHECK(client.alive());
}

TEST_CASE(
    "A wl_shm buffer shows the client's own pages, at its offset and stride, and is released by event") {
    Server server;
    ShmClient client(server);
    const auto fd = memfd(8192, F_SEAL_SHRINK);
    auto* buffer = client.buffer(client.pool(fd.get(), 8192), 4096, 10, 4, 64);
    REQUIRE(client.roundtrip());
    auto* seen = client.server_side(buffer);
    REQUIRE(seen);
    CHECK(seen->kind() == ws::ClientBuffer::Kind::shm);
    const std::uint32_t red = 0xffff0000;
    REQUIRE(pwrite(fd.get(), &red, 4, 4096 + 64 * 3 + 4) == 4);
    auto mapping = seen->buffer()->map(share::Access::read, share::Deadline::none());
    REQUIRE(mapping);
    CHECK(std::memcmp(mapping->row(0, 3).data() + 4, &red, 4) == 0);
    CHECK_FALSE(seen->buffer()->memory()->view(share::Access::write)); // a compositor only reads
    CHECK(seen->buffer()->memory()->traits().kind == share::MemoryKind::memfd);
    CHECK_FALSE(seen->buffer()->memory()->traits().can_shrink);

    int released = 0;
    static constexpr wl_buffer_listener listener{
        .release = [](void* data, wl_buffer*) { ++*static_cast<int*>(data); }};
    wl_buffer_add_listener(buffer, &listener, &released);
    seen->release();
    REQUIRE(client.roundtrip());
    CHECK(released == 1);
}

TEST_CASE("No client fd is ever sealed by wl_shm, and a read-only fd is enough") {
    Server server;
    ShmClient client(server);
    const auto fd = memfd(4096);
    const share::UniqueFd read_only(
        open(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), O_RDONLY | O_CLOEXEC));
    client.pool(fd.get(), 4096);
    client.pool(read_only.get(), 4096);
    CHECK(client.alive());
    CHECK(fcntl(fd.get(), F_GET_SEALS) == 0);
}

TEST_CASE("Hostile wl_shm requests are answered with wl_shm's codes and cost that client alone") {
    const auto before = testing::count_fds();
    {
        Server server;
        ShmClient bystander(server);
        const auto fd = memfd(4096);
        {
            ShmClient client(server);
            SECTION("a pool of size 0 or less") {
                client.pool(fd.get(), GENERATE(0, -1, INT32_MIN));
                CHECK(client.error() == shm_error("wl_shm", WL_SHM_ERROR_INVALID_STRIDE));
            }
            SECTION("an fd that is a pipe, a device, a directory or an O_PATH fd") {
                int ends[2];
                REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
                const share::UniqueFd a(ends[0]), b(ends[1]), device(open("/dev/zero", O_RDWR | O_CLOEXEC)),
                    directory(open("/tmp", O_DIRECTORY | O_CLOEXEC)), path(open("/tmp", O_PATH | O_CLOEXEC));
                const int which = GENERATE(0, 1, 2, 3);
                const int fds[] = {a.get(), device.get(), directory.get(), path.get()};
                client.pool(fds[which], 4096);
                CHECK(client.error() == shm_error("wl_shm", WL_SHM_ERROR_INVALID_FD));
            }
            SECTION("an fd that is write-only") {
                const share::UniqueFd wo(
                    open(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), O_WRONLY | O_CLOEXEC));
                client.pool(wo.get(), 4096);
                CHECK(client.error() == shm_error("wl_shm", WL_SHM_ERROR_INVALID_FD));
            }
            SECTION("a format that was not advertised, among them the fourcc of ARGB8888") {
                client.buffer(client.pool(fd.get(), 4096), 0, 4, 4, 16,
                              GENERATE(0xdeadbeef, share::format::argb8888, share::format::xrgb8888,
                                       share::format::xbgr8888));
                CHECK(client.error() == shm_error("wl_shm_pool", WL_SHM_ERROR_INVALID_FORMAT));
            }
            SECTION("sizes and strides that are negative, too short, too large or beyond the pool") {
                struct Numbers {
                    int offset, width, height, stride;
                };
                const auto n = GENERATE(Numbers{0, 4, 4, 15}, Numbers{0, 4, 4, 0}, Numbers{0, 4, 4, -16},
                                        Numbers{-4, 4, 4, 16}, Numbers{0, 0, 4, 16}, Numbers{0, 4, 0, 16},
                                        Numbers{0, -4, 4, 16}, Numbers{0, 4, -4, 16}, Numbers{4096, 4, 4, 16},
                                        Numbers{4036, 4, 4, 16}, Numbers{0, 4, 257, 16},
                                        Numbers{0, 4, INT32_MAX, INT32_MAX}, Numbers{INT32_MAX, 4, 4, 16},
                                        Numbers{0, INT32_MAX, 1, INT32_MAX}, Numbers{0, 65536, 1, 4});
                client.buffer(client.pool(fd.get(), 4096), n.offset, n.width, n.height, n.stride);
                CHECK(client.error() == shm_error("wl_shm_pool", WL_SHM_ERROR_INVALID_STRIDE));
            }
            SECTION("a subsampled plane that overruns") {
                client.buffer(client.pool(fd.get(), 4096), 0, 64, 64, 64, WL_SHM_FORMAT_NV12);
                CHECK(client.error() == shm_error("wl_shm_pool", WL_SHM_ERROR_INVALID_STRIDE));
            }
            SECTION("a resize that shrinks") {
                wl_shm_pool_resize(client.pool(fd.get(), 4096), GENERATE(4095, 0, -1));
                CHECK(client.error() == shm_error("wl_shm_pool", WL_SHM_ERROR_INVALID_FD));
            }
        }
        CHECK(bystander.alive());
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("A wl_shm client over its quota gets no_memory, and what it held is counted back") {
    Server server({.mappings = 3, .mapped_bytes = 1 << 20, .buffers = 2, .buffer_bytes = 1 << 16});
    const auto fd = memfd(4096);
    const ProtocolError no_memory{"wl_display", WL_DISPLAY_ERROR_NO_MEMORY};
    ShmClient client(server), bystander(server);
    SECTION("mappings") {
        for (int i = 0; i < 8; ++i) { // destroyed pools are not counted
            auto* pool = client.pool(fd.get(), 4096);
            client.destroy(pool);
        }
        CHECK(client.alive());
        for (int i = 0; i < 4; ++i)
            client.pool(fd.get(), 4096);
        CHECK(client.error() == no_memory);
    }
    SECTION("mapped bytes") {
        client.pool(fd.get(), (1 << 20) + 1);
        CHECK(client.error() == no_memory);
    }
    SECTION("mapped bytes by resize") {
        wl_shm_pool_resize(client.pool(fd.get(), 4096), 1 << 20);
        CHECK(client.error() == no_memory);
    }
    SECTION("buffers") {
        auto* pool = client.pool(fd.get(), 4096);
        for (int i = 0; i < 8; ++i)
            client.destroy(client.buffer(pool, 0, 4, 4, 16));
        CHECK(client.alive());
        for (int i = 0; i < 3; ++i)
            client.buffer(pool, 0, 4, 4, 16);
        CHECK(client.error() == no_memory);
    }
    SECTION("bytes in buffers") {
        client.buffer(client.pool(fd.get(), 1 << 17), 0, 256, 128, 1024);
        CHECK(client.error() == no_memory);
    }
    CHECK(bystander.alive());
}

TEST_CASE("Sparse pools of 2 GiB are legal, and so is a file shorter than its pool until it is read") {
    REQUIRE(share::install_sigbus_guard());
    Server server;
    ShmClient client(server);
    const auto fd = memfd(4096);
    auto* pool = client.pool(fd.get(), INT32_MAX);
    auto* near = client.buffer(pool, 0, 32, 32, 128);
    auto* beyond = client.buffer(pool, 1 << 30, 32, 32, 128);
    REQUIRE(client.roundtrip());
    const auto nothing = [](const share::Mapping&) {};
    CHECK(ws::with_guard(*client.server_side(near)->buffer(), share::Deadline::none(), nothing));
    const auto read = ws::with_guard(*client.server_side(beyond)->buffer(), share::Deadline::none(), nothing);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == share::Code::corrupt);
    CHECK(client.alive()); // the compositor decides; it says so with lost()
    client.server_side(beyond)->lost("short file");
    CHECK(client.error() == shm_error("wl_buffer", WL_SHM_ERROR_INVALID_FD));
}

TEST_CASE(
    "A file truncated while it is read ends the read with corrupt, now and later, and the process lives") {
    REQUIRE(share::install_sigbus_guard());
    Server server;
    ShmClient client(server), bystander(server);
    const auto fd = memfd(1 << 20);
    auto* buffer = client.buffer(client.pool(fd.get(), 1 << 20), 0, 512, 512, 2048);
    REQUIRE(client.roundtrip());
    const auto held = client.server_side(buffer)->buffer();
    CHECK(held->memory()->traits().kind == share::MemoryKind::foreign);
    CHECK(held->memory()->traits().can_shrink);

    unsigned sum = 0;
    const auto read = ws::with_guard(*held, share::Deadline::none(), [&](const share::Mapping& mapping) {
        REQUIRE(ftruncate(fd.get(), 0) == 0);
        for (const auto byte : mapping.plane(0))
            sum += std::to_integer<unsigned>(byte);
    });
    CHECK(sum == 0);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == share::Code::corrupt);

    REQUIRE(ftruncate(fd.get(), 1 << 20) == 0); // growing it again brings nothing back
    const auto again = ws::with_guard(*held, share::Deadline::none(), [](const share::Mapping&) {});
    REQUIRE_FALSE(again);
    CHECK(again.error().code == share::Code::corrupt);
    CHECK(bystander.alive());
}

TEST_CASE("A hole in huge pages that nobody can fill again ends the read with corrupt, sealed or not") {
    constexpr std::size_t huge = 2 << 20;
    REQUIRE(share::install_sigbus_guard());
    const share::UniqueFd fd(memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING));
    if (!fd) SKIP("this kernel makes no hugetlb memfd");
    REQUIRE(ftruncate(fd.get(), huge) == 0);
    REQUIRE(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    const auto grab = [] {
        return mmap(nullptr, huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    };
    void* free_page = grab();
    if (free_page == MAP_FAILED) SKIP("no free huge page: /proc/sys/vm/nr_hugepages");
    munmap(free_page, huge);

    Server server;
    ShmClient client(server);
    // Not whole huge pages, so that the guard's own edges are tested.
    auto* buffer = client.buffer(client.pool(fd.get(), huge), 8192, 64, 64, 256);
    REQUIRE(client.roundtrip());
    const auto held = client.server_side(buffer)->buffer();
    CHECK(held->memory()->traits().can_shrink);
    std::vector<void*> grabbed;
    unsigned sum = 0;
    const auto read = ws::with_guard(*held, share::Deadline::none(), [&](const share::Mapping& mapping) {
        // The first touch uses up what the kernel reserved for the mapping.
        sum += std::to_integer<unsigned>(*static_cast<const volatile std::byte*>(mapping.plane(0).data()));
        REQUIRE(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, huge) == 0);
        for (void* page = grab(); page != MAP_FAILED; page = grab()) {
            *static_cast<volatile char*>(page) = 1;
            grabbed.push_back(page);
        }
        for (const auto byte : mapping.plane(0))
            sum += std::to_integer<unsigned>(byte);
    });
    for (void* page : grabbed)
        munmap(page, huge);
    CHECK(sum == 0);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == share::Code::corrupt);
}

TEST_CASE("Buffers outlive their pool and its growth, share its mapping, and read what the client writes") {
    const auto before = testing::count_fds();
    {
        Server server;
        ShmClient client(server);
        const auto fd = memfd(8192);
        auto* pool = client.pool(fd.get(), 4096);
        auto* first = client.buffer(pool, 0, 16, 16, 64);
        auto* second = client.buffer(pool, 2048, 16, 16, 64);
        wl_shm_pool_resize(pool, 8192);
        auto* grown = client.buffer(pool, 4096, 16, 16, 64);
        client.destroy(pool);
        REQUIRE(client.roundtrip());
        const auto a = client.server_side(first)->buffer(), b = client.server_side(second)->buffer(),
                   c = client.server_side(grown)->buffer();
        CHECK(a->memory() == b->memory());
        CHECK(a->memory() != c->memory());
        client.destroy(first);
        client.destroy(grown);
        REQUIRE(client.roundtrip());
        const std::byte value{42};
        REQUIRE(pwrite(fd.get(), &value, 1, 0) == 1);
        REQUIRE(pwrite(fd.get(), &value, 1, 4096) == 1);
        CHECK(a->map(share::Access::read, share::Deadline::none())->row(0, 0)[0] == value);
        CHECK(c->map(share::Access::read, share::Deadline::none())->row(0, 0)[0] == value);
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("Multi-planar wl_shm buffers have their planes one after the other") {
    Server server;
    ShmClient client(server);
    const auto fd = memfd(65536);
    auto* pool = client.pool(fd.get(), 65536);
    auto* nv12 = client.buffer(pool, 0, 64, 32, 128, WL_SHM_FORMAT_NV12);
    auto* yuv = client.buffer(pool, 4096, 64, 32, 128, WL_SHM_FORMAT_YUV420);
    REQUIRE(client.roundtrip());
    const auto& a = client.server_side(nv12)->buffer()->layout();
    CHECK(a.plane(1) == share::Plane{128 * 32, 128});
    const auto& b = client.server_side(yuv)->buffer()->layout();
    CHECK(b.plane(1) == share::Plane{128 * 32, 64});
    CHECK(b.plane(2) == share::Plane{128 * 32 + 64 * 16, 64});
}
