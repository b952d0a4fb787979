// SPDX-License-Identifier: MIT
// A share-compositor or an X server for one test, and the pictures that come out of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "picture.hpp"
#include "process.hpp"

namespace integration {

/// share-compositor in a runtime folder of its own.
class Compositor {
public:
    struct Options {
        std::string renderer = "pixman";
        int width = 800, height = 600;
        std::string refresh = "0";
        std::vector<std::string> more; ///< further arguments
    };
    explicit Compositor(const Options& options);

    testing::Process& process() { return process_; }
    const testing::TempDir& dir() const { return dir_; }
    /// Environment for a client of it.
    std::vector<std::string> env() const;
    /// Absolute path of its socket.
    std::string socket() const { return dir_ / "share-test"; }
    /// Asks for a screenshot and waits for the whole file.
    std::optional<testing::Picture> screenshot();
    /// Ends it as a user would; its exit status.
    std::optional<int> stop();

private:
    testing::TempDir dir_;
    testing::Process process_;
};

/// Xvfb on a display number of its own choice.
class XServer {
public:
    explicit XServer(const std::vector<std::string>& arguments = {});
    static bool installed() { return testing::have_program("Xvfb"); }
    bool running() const { return !display_.empty(); }
    testing::Process& process() { return process_; }
    /// ":N"
    const std::string& display() const { return display_; }

private:
    testing::Process process_;
    std::string display_;
};

/// The demo's test card as JPEG in `dir`, and its pixels by an independent decoder (djpeg); empty path when
/// share-producer cannot make it.
std::string test_card(const testing::TempDir& dir, int width, int height);
std::optional<testing::Picture> decode_with_djpeg(const testing::TempDir& dir, const std::string& jpeg);

std::vector<std::string> producer(std::vector<std::string> arguments);

} // namespace integration
