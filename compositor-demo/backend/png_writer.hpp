// SPDX-License-Identifier: MIT
// PngWriter: writes screenshots beside the event loop, one after the other, on a thread of its own: a large
// picture takes PNG longer than a frame lasts. Owner and thread of all functions: the server's.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <share/result.hpp>

namespace compositor::backend {

class PngWriter {
public:
    /// Who wants to know. Called on the writer's thread.
    class Listener {
    public:
        virtual ~Listener() = default;
        virtual void written(const std::string& path, const share::Result<void>& result) = 0;
    };
    struct Job {
        std::string path;
        int width = 0, height = 0;
        std::vector<std::uint32_t> pixels; ///< XRGB8888 rows without padding, top first
    };

    explicit PngWriter(Listener& listener) : listener_(listener) {}
    /// Finishes what was put.
    ~PngWriter() { finish(); }
    PngWriter(const PngWriter&) = delete;
    PngWriter& operator=(const PngWriter&) = delete;

    /// Writes it after what is being written now. One picture waits at most: a later one of the same path
    /// takes its place, for the file would hold that one anyhow; of another path it waits for room.
    void put(Job job);
    /// Waits until everything that was put is written, or was refused.
    void finish();

private:
    void run();
    Listener& listener_;
    std::mutex lock_;
    std::condition_variable changed_;
    std::optional<Job> waiting_;
    bool ending_ = false;
    std::thread thread_; ///< runs from the first put() to finish()
};

} // namespace compositor::backend
