// SPDX-License-Identifier: MIT
// Every kind of fd there is, given to libshare's importer and to share-compositor's linux-dmabuf: the right
// answer, nothing mapped that should not be, no fd kept, and everybody lives.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <linux/dma-buf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include <share/import.hpp>

#include "display_servers.hpp"
#include "dmabuf_client.hpp"
#include "hostile_fds.hpp"
#include "open_files.hpp"
#include "pagemap.hpp"
#include "unchanged.hpp"

using integration::Compositor;
using share::UniqueFd;
using testing::DmabufClient;
using testing::HostileFd;
using testing::Verdict;

namespace {

std::uint64_t inode_of(int fd) {
    struct stat status{};
    REQUIRE(fstat(fd, &status) == 0);
    return status.st_ino;
}

/// The shared mappings of a process, without addresses.
std::multiset<std::string> shared_mappings(pid_t pid) {
    std::multiset<std::string> found;
    for (const auto& entry : testing::maps_of(pid))
        if (entry.permissions.ends_with('s'))
            found.insert(fmt::format("{} {} {}", entry.inode, entry.path, entry.end - entry.begin));
    return found;
}

std::size_t fds_of(pid_t pid) {
    return testing::open_files(pid, "").size();
}

/// Makes each kind in turn; what this machine cannot make is told, not passed over in silence.
template<class Check>
void for_each_kind(const Check& check) {
    const testing::TempDir dir;
    const testing::Ext4 disk(dir.path());
    if (!disk.problem().empty()) FAIL(disk.problem());
    std::string missing;
    std::size_t made = 0;
    for (const auto& kind : testing::hostile_fds(disk.root())) {
        UniqueFd fd = kind.make();
        if (!fd) {
            missing += "\n  " + kind.name;
            continue;
        }
        INFO(kind.name);
        check(kind, fd.get());
        ++made;
    }
    CHECK(made > 30);
    WARN("not to be had on this machine:" << (missing.empty() ? " nothing" : missing));
}

/// All of it can be read.
void check_readable(share::Memory& memory, std::uint8_t fill) {
    auto view = memory.view(share::Access::read);
    REQUIRE(view);
    CHECK(view->size() >= testing::hostile_bytes);
    CHECK(std::ranges::all_of(*view, [&](std::byte b) { return b == std::byte{fill}; }));
}

void check_import(const HostileFd& kind, int fd) {
    const auto before = testing::count_fds();
    const auto mapped = shared_mappings(getpid());
    const share::ImportRules strict{.min_size = testing::hostile_bytes};
    {
        auto memory = share::import_fd(UniqueFd(dup(fd)), strict);
        CHECK(memory.ok() == (kind.verdict == Verdict::memory));
        CHECK(shared_mappings(getpid()) == mapped); // importing maps nothing
        if (!memory) {
            CHECK(memory.error().code == kind.code);
            CHECK_FALSE(memory.error().detail.empty());
            INFO(memory.error().text());
        } else {
            check_readable(**memory, kind.fill);
        }
    }
    auto lenient = strict;
    lenient.accept_shrinkable = true;
    {
        auto memory = share::import_fd(UniqueFd(dup(fd)), lenient);
        const bool expected = kind.verdict == Verdict::memory || kind.verdict == Verdict::shrinkable;
        CHECK(memory.ok() == expected);
        if (memory) CHECK((*memory)->traits().can_shrink == (kind.verdict == Verdict::shrinkable));
    }
    CHECK(testing::count_fds() == before);
    CHECK(shared_mappings(getpid()) == mapped);
}

constexpr const char* params_interface = "zwp_linux_buffer_params_v1";
constexpr std::uint32_t out_of_bounds = 6, invalid_wl_buffer = 7;

/// By create: the client lives, unless the layout does not fit.
void check_create(Compositor& compositor, const HostileFd& kind, int fd) {
    auto client = DmabufClient::connect(compositor.socket());
    REQUIRE(client);
    const auto outcome = client->create(fd, testing::hostile_side);
    switch (kind.verdict) {
    case Verdict::memory:
        REQUIRE(outcome.answer == DmabufClient::Answer::created);
        REQUIRE(client->show());
        {
            const auto screen = compositor.screenshot();
            REQUIRE(screen);
            CHECK(screen->at(screen->width / 2, screen->height / 2) ==
                  testing::Rgb{kind.fill, kind.fill, kind.fill});
        }
        break;
    case Verdict::too_small:
        CHECK(outcome.answer == DmabufClient::Answer::error);
        CHECK(outcome.interface == params_interface);
        CHECK(outcome.code == out_of_bounds);
        return;
    case Verdict::shrinkable:
    case Verdict::refused:
        CHECK(outcome.answer == DmabufClient::Answer::failed);
        break;
    }
    if (kind.afterwards) kind.afterwards(fd);
    CHECK(client->alive());
}

void check_create_immed(Compositor& compositor, const HostileFd& kind, int fd) {
    auto client = DmabufClient::connect(compositor.socket());
    REQUIRE(client);
    const auto outcome = client->create_immed(fd, testing::hostile_side);
    if (kind.verdict == Verdict::memory) {
        CHECK(outcome.answer == DmabufClient::Answer::created);
        return;
    }
    CHECK(outcome.answer == DmabufClient::Answer::error);
    CHECK(outcome.interface == params_interface);
    CHECK(outcome.code == (kind.verdict == Verdict::too_small ? out_of_bounds : invalid_wl_buffer));
}

} // namespace

TEST_CASE("every kind of fd that is no sound memory is refused by libshare's importer, and never mapped") {
    const testing::Unchanged unchanged;
    for_each_kind(check_import);
}

TEST_CASE("every kind of fd gets its answer from share-compositor, which maps no other than sound memory") {
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
    const auto renderer = GENERATE(std::string("pixman"), std::string("gl"));
    CAPTURE(renderer);
    const testing::Unchanged unchanged;
    Compositor compositor({.renderer = renderer, .width = 128, .height = 128});
    const auto pid = compositor.process().pid();
    auto bystander = DmabufClient::connect(compositor.socket());
    REQUIRE(bystander);
    // Whatever it opens once is open now, and the driver has let go of the renderer's own probes.
    for (const auto& kind : testing::hostile_fds(""))
        if (kind.verdict == Verdict::memory && kind.name.find("memfd") != std::string::npos)
            check_create(compositor, kind, kind.make().get());
    REQUIRE(testing::eventually([&] {
        return testing::open_files(pid, "/memfd:hostile").empty() &&
               testing::open_files(pid, "/memfd:renderer probe").empty();
    }));
    CHECK(bystander->alive());
    const auto fds = fds_of(pid);
    const auto mapped = shared_mappings(pid);
    for_each_kind([&](const HostileFd& kind, int fd) {
        const auto inode = inode_of(fd);
        check_create(compositor, kind, fd);
        const UniqueFd again = kind.make();
        REQUIRE(again);
        check_create_immed(compositor, kind, again.get());
        // Nothing of a refused one was ever mapped: the mappings and fds of both clients are gone.
        if (!testing::eventually([&] { return fds_of(pid) == fds && shared_mappings(pid) == mapped; })) {
            for (const auto& one : shared_mappings(pid))
                if (!mapped.contains(one)) FAIL_CHECK("still mapped: " << one);
            CHECK(fds_of(pid) == fds);
        }
        CHECK(testing::maps_of_inode(pid, inode, "").empty());
        REQUIRE(compositor.process().running());
        CHECK(bystander->alive());
    });
    INFO(compositor.process().err());
    CHECK(compositor.screenshot());
    bystander.reset();
    CHECK(compositor.stop() == 0);
}

TEST_CASE("every dma-buf exporter of this machine lets its buffers be mapped") {
    // An exporter without mmap would be one more kind above. When this fails, one has been found: add it.
    const testing::Unchanged unchanged;
    const auto exporters = testing::dmabuf_exporters();
    CHECK(exporters.size() >= 4);
    for (const auto& exporter : exporters) {
        INFO(exporter.name);
        const auto size = lseek(exporter.dmabuf.get(), 0, SEEK_END);
        REQUIRE(size > 0);
        void* bytes =
            mmap(nullptr, static_cast<std::size_t>(size), PROT_READ, MAP_SHARED, exporter.dmabuf.get(), 0);
        CHECK(bytes != MAP_FAILED);
        if (bytes != MAP_FAILED) munmap(bytes, static_cast<std::size_t>(size));
    }
}
