// SPDX-License-Identifier: MIT
#include "os/sync_helper.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "os/dmabuf.hpp"
#include "os/file.hpp"

namespace share::os {
namespace {

constexpr auto least_wait = std::chrono::milliseconds(50);
constexpr unsigned max_helpers = 8;

struct Job {
    UniqueFd dmabuf;
    Access access = Access::read;
    bool done = false, abandoned = false;
    Result<void> result;
};

/// One idle helper waits for the next job; more exist only while others are stuck in the kernel. All state
/// is under one lock: a job is microseconds long unless it is stuck.
struct Helpers {
    std::mutex lock;
    std::condition_variable changed;
    std::shared_ptr<Job> next; ///< handed over, not yet taken
    unsigned alive = 0, idle = 0;
    pid_t process = getpid();
};

void serve(Helpers& helpers) {
    std::unique_lock guard(helpers.lock);
    for (;;) {
        helpers.changed.wait(guard, [&] { return helpers.next != nullptr; });
        const auto job = std::exchange(helpers.next, nullptr);
        --helpers.idle;
        helpers.changed.notify_all();
        guard.unlock();
        auto result = sync_begin(job->dmabuf.get(), job->access);
        guard.lock();
        if (job->abandoned && result) (void)sync_end(job->dmabuf.get(), job->access);
        job->dmabuf.reset(); // before the caller sees the end: it may count fds
        job->result = std::move(result);
        job->done = true;
        helpers.changed.notify_all();
        if (helpers.idle > 0) { // another one took our place
            --helpers.alive;
            return;
        }
        ++helpers.idle;
    }
}

/// Never destroyed: helpers may outlive main(). A forked child has none of its parent's threads.
Helpers& helpers_of_this_process() {
    static std::mutex lock;
    static Helpers* helpers = new Helpers;
    const std::lock_guard guard(lock);
    if (helpers->process != getpid()) helpers = new Helpers;
    return *helpers;
}

bool start_helper(Helpers& helpers) {
    // Signals are for the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = true;
    try {
        std::thread([&helpers] { serve(helpers); }).detach();
        ++helpers.alive;
        ++helpers.idle;
    } catch (const std::exception&) { // no thread, or no memory for one
        started = false;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

} // namespace

Result<void> sync_begin_guarded(int dmabuf, Access access, Deadline deadline) {
    const auto operation = [&] { return fmt::format("beginning CPU access to dma-buf fd {}", dmabuf); };
    auto own = duplicate(dmabuf);
    if (!own) return std::move(own).error();
    const auto until = std::max(deadline.when(), Deadline::in(least_wait).when());
    auto job = std::make_shared<Job>();
    job->dmabuf = std::move(*own);
    job->access = access;

    auto& helpers = helpers_of_this_process();
    std::unique_lock guard(helpers.lock);
    if (!helpers.changed.wait_until(guard, until, [&] { return helpers.next == nullptr; }))
        return make_error(Code::timed_out, operation(), "the helper threads are busy");
    if (helpers.idle == 0) {
        if (helpers.alive >= max_helpers)
            return make_error(
                Code::limit, operation(),
                fmt::format("{} brackets already wait for fences that do not signal", max_helpers));
        if (!start_helper(helpers))
            return make_error(Code::out_of_memory, operation(), "the system gives no thread for it");
    }
    helpers.next = job;
    helpers.changed.notify_all();
    if (helpers.changed.wait_until(guard, until, [&] { return job->done; })) return std::move(job->result);
    job->abandoned = true;
    if (helpers.next == job) { // nobody has begun it
        helpers.next = nullptr;
        helpers.changed.notify_all(); // somebody may wait to be the next
    }
    return make_error(Code::timed_out, operation(),
                      "a fence was added while the access began and did not signal before the deadline");
}

} // namespace share::os
