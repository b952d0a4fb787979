// SPDX-License-Identifier: MIT
// Helpers for tests: children that cannot outlive the test, temporary folders, fd counts.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <share/unique_fd.hpp>

namespace testing {

/// Open fds of this process, and their count; compare before and after.
std::size_t count_fds();

/// A folder of its own, removed at the end. Usable as XDG_RUNTIME_DIR (mode 0700).
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::filesystem::path& path() const { return path_; }
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

struct ProcessOptions {
    std::vector<std::string> env;  ///< "NAME=value" overrides; "NAME" unsets
    std::vector<std::string> args; ///< argv, first the program (looked up in PATH)
    std::vector<int> keep_fds;     ///< kept open in the child under the same number
};

/// A child process whose output goes to a file. Killed (with its process group) when destroyed, and by the
/// kernel when the test dies.
class Process {
public:
    explicit Process(ProcessOptions options);
    ~Process();
    Process(Process&& other) noexcept;
    Process& operator=(Process&&) = delete;
    pid_t pid() const { return pid_; }
    /// Exit status, 128 + signal, or nothing when it still runs at the end of the wait.
    std::optional<int> wait(std::chrono::milliseconds wait);
    bool running();
    void signal(int number);
    /// What it printed so far, standard output and error apart.
    std::string out() const;
    std::string err() const;

private:
    pid_t pid_ = -1;
    std::optional<int> status_;
    share::UniqueFd out_, err_;
};

/// Runs to the end. Fails the caller's expectations by status 124 when it takes longer than `limit`.
struct Finished {
    int status = -1;
    std::string out, err;
};
Finished run(ProcessOptions options, std::chrono::milliseconds limit = std::chrono::seconds(60));

/// True when `name` is an executable in PATH, or one by itself when it has a slash.
bool have_program(const std::string& name);
/// Absolute path of a program that this build made: built("producer/share-producer").
std::string built(const std::string& relative);
/// Polls until `condition()` or until the limit; returns the condition.
template<class F>
bool eventually(F condition, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
        if (condition()) return true;
        if (std::chrono::steady_clock::now() >= end) return false;
        struct timespec nap{0, 5'000'000};
        nanosleep(&nap, nullptr);
    }
}

} // namespace testing
