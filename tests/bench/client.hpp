// SPDX-License-Identifier: MIT
// A plain Wayland client for measuring compositors: one fullscreen surface, three buffers in one sealed
// memfd, optionally something small on top. Plain libwayland, none of our libraries: the load is the same
// for every compositor.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace bench {

class Client {
public:
    struct Options {
        std::string socket; ///< absolute path
        int width = 0, height = 0;
        bool overlay = false; ///< a 64x64 subsurface on top, so that the frame has to be composed
        bool dmabuf = false;  ///< hand the memfd over as a dma-buf instead of a wl_shm pool
    };
    /// Null when the compositor cannot be reached or refuses; `why` says what.
    static std::unique_ptr<Client> create(const Options& options, std::string& why);
    ~Client();

    /// The next buffer that the compositor does not use. Waits for a release.
    std::span<std::byte> next();
    /// Shows what next() returned; `damage` 0: all of it, else a square of that size. Returns after the frame
    /// callback, or false when the connection is dead.
    bool present(int damage);

private:
    struct Impl;
    explicit Client(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace bench
