// SPDX-License-Identifier: MIT
// The helper threads of brackets, without a device: a memfd is refused by the ioctl, on the helper as
// elsewhere. What they do on real dma-bufs with fences is in tests/vm/fences_test.cpp.
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include <share/fence.hpp>

#include "os/sync_helper.hpp"
#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;

TEST_CASE("many threads bracket at once, and each gets the answer for its own fd") {
    UniqueFd memfd(memfd_create("no dma-buf", MFD_CLOEXEC));
    const UniqueFd path(open("/", O_PATH | O_CLOEXEC)); // refused for another reason
    REQUIRE((memfd && path));
    (void)os::sync_begin_guarded(memfd.get(), Access::read, Deadline::in(10s));
    const auto fds = testing::count_fds();
    std::atomic<int> answered{0}, others{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back(
            [&, fd = i % 2 == 0 ? memfd.get() : path.get(), expected = i % 2 == 0 ? ENOTTY : EBADF] {
                for (int turn = 0; turn < 200; ++turn) {
                    const auto begun = os::sync_begin_guarded(fd, Access::read, Deadline::in(20s));
                    if (!begun && begun.error().os_errno == expected)
                        ++answered;
                    else
                        ++others;
                }
            });
    for (auto& thread : threads)
        thread.join();
    CHECK(answered == 800);
    CHECK(others == 0);
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("a forked child has helpers of its own") {
#ifdef __SANITIZE_THREAD__
    SKIP("ThreadSanitizer lets no child of a program with threads start one");
#endif
    UniqueFd memfd(memfd_create("no dma-buf", MFD_CLOEXEC));
    (void)os::sync_begin_guarded(memfd.get(), Access::read, Deadline::in(10s));
    const pid_t child = fork();
    if (child == 0) {
        const auto begun = os::sync_begin_guarded(memfd.get(), Access::read, Deadline::in(20s));
        _exit(!begun && begun.error().os_errno == ENOTTY ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("an fd that is not open is refused at once") {
    CHECK_FALSE(os::sync_begin_guarded(-1, Access::read, Deadline::none()));
}

TEST_CASE("a fence without a file is done, and only sync_files become fences") {
    const Fence done;
    CHECK(done.fd() == -1);
    CHECK(done.signalled().value());
    CHECK(done.wait(Deadline::none()));
    CHECK(Fence::merge(done, Fence()).value().signalled().value());
    CHECK(done.export_sync_file().error().code == Code::invalid_argument);
    const auto fds = testing::count_fds();
    CHECK(Fence::from_sync_file(UniqueFd(memfd_create("no fence", MFD_CLOEXEC))).error().code ==
          Code::invalid_argument);
    CHECK(Fence::from_sync_file(UniqueFd()).error().code == Code::invalid_argument);
    CHECK(testing::count_fds() == fds);
}
