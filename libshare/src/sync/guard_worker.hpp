// SPDX-License-Identifier: MIT
// GuardWorker: the thread that does for all guards of a process what must wait: leases, fences, reports. (The
// thread of the events must not: taking memory waits for it.)
//
// Owner: the guards, by `hire`; the thread goes with the last. Thread: any. In a forked child the parent's
// worker is not there, and a new one is made for new guards.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <share/result.hpp>

namespace share::detail {

class GuardWorker : public std::enable_shared_from_this<GuardWorker> {
public:
    using Clock = std::chrono::steady_clock;

    class Client {
    public:
        virtual ~Client() = default;
        /// Does what is due; says when to come again unless called for earlier.
        virtual Clock::time_point work(Clock::time_point now) = 0;
    };

    /// Errors: limit (no thread).
    static Result<std::shared_ptr<GuardWorker>> hire(std::shared_ptr<Client> client);
    /// Afterwards no work() of the client runs or will run, unless this is called in one. The last one's
    /// worker ends.
    void dismiss(const std::shared_ptr<Client>& client) noexcept;
    /// Something is to be done, for whichever client. May be called while a thread is held.
    void call() noexcept;

private:
    void run() noexcept;
    std::mutex lock_;
    std::condition_variable changed_, idle_;
    std::vector<std::shared_ptr<Client>> clients_;
    const Client* working_ = nullptr;
    bool called_ = false, stop_ = false;
    std::thread thread_;
};

} // namespace share::detail
