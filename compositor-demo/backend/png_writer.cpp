// SPDX-License-Identifier: MIT
#include "backend/png_writer.hpp"

#include <system_error>
#include <utility>

#include "backend/png_file.hpp"

namespace compositor::backend {

void PngWriter::put(Job job) {
    if (!thread_.joinable()) {
        try {
            thread_ = std::thread([this] { run(); });
        } catch (const std::system_error&) { // no thread to be had: late is better than never
            listener_.written(job.path, write_png(job.path, job.width, job.height, job.pixels));
            return;
        }
    }
    {
        std::unique_lock guard(lock_);
        changed_.wait(guard, [&] { return !waiting_ || waiting_->path == job.path; });
        waiting_ = std::move(job);
    }
    changed_.notify_all();
}

void PngWriter::finish() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard guard(lock_);
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
    ending_ = false;
}

void PngWriter::run() {
    std::unique_lock guard(lock_);
    for (;;) {
        changed_.wait(guard, [this] { return waiting_ || ending_; });
        if (!waiting_) return;
        const Job job = std::move(*std::exchange(waiting_, std::nullopt));
        changed_.notify_all();
        guard.unlock();
        listener_.written(job.path, write_png(job.path, job.width, job.height, job.pixels));
        guard.lock();
    }
}

} // namespace compositor::backend
