// SPDX-License-Identifier: MIT
#include "stop_signal.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace producer {

share::Result<StopSignal> StopSignal::create() {
    signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return share::error_from_errno(errno, "blocking signals");
    share::UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return share::error_from_errno(errno, "making a signalfd");
    return StopSignal(std::move(fd));
}

bool StopSignal::requested() {
    signalfd_siginfo info;
    if (!requested_ && read(fd_.get(), &info, sizeof info) == sizeof info) requested_ = true;
    return requested_;
}

} // namespace producer
