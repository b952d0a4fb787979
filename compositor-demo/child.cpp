// SPDX-License-Identifier: MIT
#include "child.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace compositor {
namespace {

constexpr int patience_ms = 2000;

std::vector<std::string> environment(const std::string& wayland_display) {
    std::vector<std::string> words;
    for (char** entry = environ; *entry; ++entry) {
        const std::string_view word = *entry;
        // An inherited connection would lead past us.
        if (!word.starts_with("WAYLAND_DISPLAY=") && !word.starts_with("WAYLAND_SOCKET="))
            words.emplace_back(word);
    }
    words.push_back("WAYLAND_DISPLAY=" + wayland_display);
    return words;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> list;
    for (const std::string& word : words)
        list.push_back(const_cast<char*>(word.c_str()));
    list.push_back(nullptr);
    return list;
}

/// Signals as a new program expects them: nothing blocked, nothing ignored.
struct SpawnAttributes {
    posix_spawnattr_t attributes;
    SpawnAttributes() {
        posix_spawnattr_init(&attributes);
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~SpawnAttributes() { posix_spawnattr_destroy(&attributes); }
};

} // namespace

share::Result<std::unique_ptr<Child>> Child::start(wl_display* display,
                                                   const std::vector<std::string>& command,
                                                   const std::string& wayland_display, unsigned long nofile) {
    const std::string operation = fmt::format("starting {}", command.front());
    std::unique_ptr<Child> child(new Child);
    child->display_ = display;
    const auto words = environment(wayland_display);
    const SpawnAttributes spawn;
    const int error = posix_spawnp(&child->pid_, command.front().c_str(), nullptr, &spawn.attributes,
                                   pointers(command).data(), pointers(words).data());
    if (error != 0) {
        child->pid_ = -1;
        return share::error_from_errno(error, operation, "check its name and PATH");
    }
    if (nofile != 0) {
        // We raised our own; programs that use select() rely on the usual limit.
        rlimit limit{};
        if (prlimit(child->pid_, RLIMIT_NOFILE, nullptr, &limit) == 0) {
            limit.rlim_cur = nofile;
            (void)prlimit(child->pid_, RLIMIT_NOFILE, &limit, nullptr);
        }
    }
    child->pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, child->pid_, 0)));
    if (!child->pidfd_) return share::error_from_errno(errno, operation, "pidfd_open");
    child->source_ = wl_event_loop_add_fd(wl_display_get_event_loop(display), child->pidfd_.get(),
                                          WL_EVENT_READABLE, &on_exit, child.get());
    if (!child->source_) return share::error_from_errno(errno, operation, "watching it");
    return child;
}

int Child::on_exit(int, std::uint32_t, void* self) noexcept {
    auto* child = static_cast<Child*>(self);
    child->reap(WNOHANG);
    if (child->status_) wl_display_terminate(child->display_);
    return 0;
}

void Child::reap(int options) noexcept {
    int status = 0;
    if (pid_ < 0 || waitpid(pid_, &status, options) != pid_) return;
    pid_ = -1;
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (source_) wl_event_source_remove(std::exchange(source_, nullptr));
}

Child::~Child() {
    if (source_) wl_event_source_remove(source_);
    source_ = nullptr;
    if (pid_ < 0) return;
    kill(pid_, SIGTERM);
    if (pidfd_) {
        pollfd poll_for{pidfd_.get(), POLLIN, 0};
        if (poll(&poll_for, 1, patience_ms) != 1) kill(pid_, SIGKILL);
    } else {
        kill(pid_, SIGKILL);
    }
    reap(0);
}

} // namespace compositor
