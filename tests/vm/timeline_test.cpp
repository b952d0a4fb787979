// SPDX-License-Identifier: MIT
// Timeline sync objects of the KMS device (vkms), with sw_sync fences. That vkms has sync objects is a patch
// of the test VM (scripts/vm/patches): drivers of real display controllers have them.
#include <poll.h>

#include <thread>

#include <share/kms/timeline.hpp>

#include "kms_support.hpp"
#include "process.hpp"
#include "sw_sync.hpp"
#include "unchanged.hpp"

using namespace share;
using namespace share::kms;
using namespace std::chrono_literals;
using testing::kms_device;
using testing::must;
using testing::SwSync;

namespace {

bool readable(int fd) {
    pollfd entry{fd, POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
}

} // namespace

TEST_CASE("a point is done when its fence is, and so are those before it") {
    const testing::Unchanged unchanged;
    auto timeline = Timeline::create(kms_device());
    must(timeline);
    const SwSync work;
    must(timeline->add_fence(5, work.fence()));
    CHECK(timeline->value().value() == 0);
    CHECK(timeline->wait_submitted(5, Deadline::none()));
    CHECK(timeline->wait(5, Deadline::in(20ms)).error().code == Code::timed_out);
    CHECK(timeline->wait(3, Deadline::in(20ms)).error().code == Code::timed_out);
    const auto fence = timeline->fence(5);
    must(fence);
    CHECK_FALSE(fence->signalled().value());
    work.signal();
    must(fence->wait(Deadline::in(10s)));
    must(timeline->wait(3, Deadline::in(10s)));
    must(timeline->wait(5, Deadline::in(10s)));
    CHECK(timeline->value().value() == 5);
}

TEST_CASE("a point that nobody has submitted is waited for until the deadline, and has no fence") {
    const testing::Unchanged unchanged;
    auto timeline = Timeline::create(kms_device());
    must(timeline);
    CHECK(timeline->fence(1).error().code == Code::unavailable);
    CHECK(timeline->wait_submitted(1, Deadline::none()).error().code == Code::timed_out);
    CHECK(timeline->wait_submitted(1, Deadline::in(20ms)).error().code == Code::timed_out);
    CHECK(timeline->wait(1, Deadline::in(20ms)).error().code == Code::timed_out);
    std::thread peer([&] {
        std::this_thread::sleep_for(50ms);
        (void)timeline->signal(1);
    });
    CHECK(timeline->wait(1, Deadline::in(20s)));
    peer.join();
    CHECK(timeline->fence(1)->signalled().value());
}

TEST_CASE("both sides of a shared timeline see each other's points, and an event loop is told") {
    const testing::Unchanged unchanged;
    auto ours = Timeline::create(kms_device());
    must(ours);
    auto fd = ours->export_fd();
    must(fd);
    auto theirs = Timeline::import(kms_device(), fd->get());
    must(theirs);
    const auto done = ours->notify(2), submitted = ours->notify(2, true);
    must(done);
    must(submitted);
    CHECK_FALSE(readable(submitted->get()));
    const SwSync work;
    must(theirs->add_fence(2, work.fence()));
    CHECK(readable(submitted->get()));
    CHECK_FALSE(readable(done->get()));
    work.signal();
    CHECK(testing::eventually([&] { return readable(done->get()); }));
    CHECK(ours->value().value() == 2);
    must(ours->signal(7));
    CHECK(theirs->value().value() == 7);
}

TEST_CASE("an fd that is no sync object is refused as a timeline") {
    const testing::Unchanged unchanged;
    const auto device = kms_device();
    const SwSync work;
    const auto fence = work.fence();
    for (const int fd : {fence.fd(), device->fd(), -1})
        CHECK(Timeline::import(device, fd).error().code == Code::invalid_argument);
}

TEST_CASE("a driver without timelines says so") {
    const testing::Unchanged unchanged;
    CHECK(Timeline::create(kms_device("vgem")).error().code == Code::unsupported);
}
