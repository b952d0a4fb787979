// SPDX-License-Identifier: MIT
#include "sync/guard_worker.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "sync/screen.hpp"

namespace share::detail {
namespace {

struct Place {
    Place* parents = nullptr; ///< in a forked child
    unsigned process = 0;
    std::mutex lock;
    std::weak_ptr<GuardWorker> worker;
};

/// Never destroyed: guards may outlive main(). A forked child gets its own.
Place& place_of_this_process() {
    static std::mutex lock;
    static Place* place = nullptr;
    const std::lock_guard guard(lock);
    if (!place || place->process != process_generation())
        place = new Place{place, process_generation(), {}, {}};
    return *place;
}

GuardWorker::Clock::time_point work_of(GuardWorker::Client& client) noexcept {
    try {
        return client.work(GuardWorker::Clock::now());
    } catch (...) { // out of memory, or the program's own report
        return GuardWorker::Clock::now() + std::chrono::milliseconds(10);
    }
}

} // namespace

Result<std::shared_ptr<GuardWorker>> GuardWorker::hire(std::shared_ptr<Client> client) {
    auto& place = place_of_this_process();
    const std::lock_guard order(place.lock);
    if (auto worker = place.worker.lock()) {
        const std::lock_guard guard(worker->lock_);
        if (!worker->stop_) {
            worker->clients_.push_back(std::move(client));
            return worker;
        }
    }
    auto worker = std::make_shared<GuardWorker>();
    worker->clients_.push_back(std::move(client));
    sigset_t all, before; // signals are for the program's own threads
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = true;
    try {
        worker->thread_ = std::thread([worker] { worker->run(); });
        pthread_setname_np(worker->thread_.native_handle(), "share-guards");
    } catch (const std::exception&) {
        started = false;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (!started) return make_error(Code::limit, "starting the thread of guards", "the system gives none");
    place.worker = worker;
    return worker;
}

void GuardWorker::dismiss(const std::shared_ptr<Client>& client) noexcept {
    const bool inside = std::this_thread::get_id() == thread_.get_id();
    bool last = false;
    {
        std::unique_lock guard(lock_);
        std::erase(clients_, client);
        if (!inside) idle_.wait(guard, [&] { return working_ != client.get(); });
        last = clients_.empty() && !stop_;
        stop_ = clients_.empty();
        changed_.notify_all();
    }
    if (!last) return;
    if (inside)
        thread_.detach();
    else
        thread_.join();
}

void GuardWorker::call() noexcept {
    const std::lock_guard guard(lock_);
    called_ = true;
    changed_.notify_all();
}

void GuardWorker::run() noexcept {
    std::unique_lock guard(lock_);
    auto next = Clock::time_point::max();
    while (!stop_) {
        // Not for ever: condition variables of old wait until a time point only.
        changed_.wait_until(guard, std::min(next, Clock::now() + std::chrono::hours(1)),
                            [&] { return called_ || stop_; });
        called_ = false;
        next = Clock::time_point::max();
        const auto clients = clients_;
        for (const auto& client : clients) {
            if (std::find(clients_.begin(), clients_.end(), client) == clients_.end()) continue;
            working_ = client.get();
            guard.unlock();
            const auto due = work_of(*client);
            guard.lock();
            working_ = nullptr;
            idle_.notify_all();
            next = std::min(next, due);
        }
    }
}

} // namespace share::detail
