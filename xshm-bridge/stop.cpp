// SPDX-License-Identifier: MIT
#include "stop.hpp"

#include <csignal>

namespace bridge {

namespace {
volatile std::sig_atomic_t stopped = 0;
extern "C" void note_stop(int) {
    stopped = 1;
}
} // namespace

void install_stop_signals() {
    struct sigaction action{};
    action.sa_handler = note_stop;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, nullptr);
    sigaction(SIGXFSZ, &action, nullptr); // a limit on file sizes is an error like others: EFBIG
}

bool stop_requested() noexcept {
    return stopped != 0;
}

} // namespace bridge
