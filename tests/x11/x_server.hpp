// SPDX-License-Identifier: MIT
// An Xvfb of the test's own, and an independent look at what it shows.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <xcb/xcb.h>

#include "process.hpp"

namespace testing {

class XServer {
public:
    struct Options {
        std::string screen = "640x480x24";
        bool tcp = false;
        std::vector<std::string> args;
    };
    /// SKIPs the test when Xvfb is not installed; fails it when it does not start.
    static std::unique_ptr<XServer> start(Options options);
    ~XServer();
    /// ":5", or "127.0.0.1:5" with tcp.
    const std::string& display() const { return display_; }
    pid_t pid() const { return process_->pid(); }
    /// SIGKILL, SIGSTOP, SIGCONT.
    void signal(int number) { process_->signal(number); }
    Process& process() { return *process_; }

private:
    std::unique_ptr<Process> process_;
    std::string display_;
    int number_ = -1;
};

/// A part of a drawable as GetImage gives it, by a connection of its own; window 0: the screen. Rows
/// without padding.
struct Screenshot {
    std::uint32_t width = 0, height = 0, bytes_per_pixel = 0;
    std::vector<std::uint8_t> pixels;
};
Screenshot look(const std::string& display, xcb_window_t window, std::uint32_t width, std::uint32_t height);

/// SysV segments that this process made and that still exist: others' tests run beside ours.
std::size_t count_sysv_segments(pid_t creator = getpid());

} // namespace testing
