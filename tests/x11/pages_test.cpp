// SPDX-License-Identifier: MIT
// The proof: the X server's mapping is our pages.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <catch2/catch_test_macros.hpp>

#include "pagemap.hpp"
#include "stream.hpp"

using namespace testing;
using share::x11::Path;

namespace {

std::vector<MapEntry> mappings(pid_t pid, const share::Memory& memory) {
    if (const auto id = memory.sysv_id()) return maps_of_inode(pid, static_cast<std::uint64_t>(*id), "SYSV");
    struct stat status{};
    REQUIRE(fstat(memory.fd(), &status) == 0);
    return maps_of_inode(pid, status.st_ino, "memfd");
}

void compare_pages(Path path) {
    auto server = XServer::start({});
    share::x11::SwapchainOptions options;
    options.path = path;
    Stream stream(server->display(), options);
    for (std::uint32_t i = 0; i < 4; ++i) {
        REQUIRE(stream.frame(i));
        REQUIRE(stream.swapchain->wait_shown(soon()));
    }
    const auto& memory = *stream.swapchain->memory();
    const auto ours = mappings(getpid(), memory), theirs = mappings(server->pid(), memory);
    REQUIRE(ours.size() == 1);
    REQUIRE(theirs.size() == 1);
    CHECK(theirs[0].permissions == "r--s"); // the server cannot write what it has no business to
    if (!page_frames_visible()) SKIP("page frame numbers are shown to root only; the inodes are the same");
    const auto pages = memory.size() / static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    const auto our_frames = page_frames(getpid(), ours[0], 0, pages);
    const auto their_frames = page_frames(server->pid(), theirs[0], 0, pages);
    REQUIRE(our_frames.size() == pages);
    REQUIRE(their_frames.size() == pages);
    std::size_t same = 0, different = 0;
    for (std::size_t i = 0; i < pages; ++i) {
        if (our_frames[i] == 0 || their_frames[i] == 0) continue; // not touched by one of them
        (our_frames[i] == their_frames[i] ? same : different) += 1;
    }
    CHECK(different == 0);
    // Two slots turn around, and the server has read every page of pixels in them.
    CHECK(same >= 2 * (stream.swapchain->layout().plane_bytes(0) / 4096));
}

} // namespace

TEST_CASE("the X server reads the very pages of the memfd") {
    compare_pages(Path::fd);
}
TEST_CASE("the X server reads the very pages of the SysV segment") {
    compare_pages(Path::sysv);
}
