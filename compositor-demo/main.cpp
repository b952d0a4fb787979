// SPDX-License-Identifier: MIT
// share-compositor: a small Wayland compositor that shows clients' buffers where they lie.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <share/sigbus_guard.hpp>

#include "server.hpp"

namespace {

/// A descriptor of ours in the place of a closed standard stream would receive what is printed.
void fill_standard_streams() {
    for (int fd = 0; fd <= 2; ++fd)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR);
}

/// Clients bring descriptors. Returns the soft limit that was there, for programs that we start.
unsigned long raise_descriptor_limit() {
    constexpr rlim_t enough = 65536;
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = std::max(before, std::min(limit.rlim_max, enough));
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    return before;
}

int fail(const share::Error& error) {
    fmt::print(stderr, "share-compositor: {}\n", error.text());
    return error.code == share::Code::invalid_argument ? 2 : 1;
}

/// What was printed has arrived, or the status says that it has not.
int printed(int status) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
    fmt::print(stderr, "share-compositor: writing to standard output failed\n");
    return status == 0 ? 1 : status;
}

int run(const compositor::Options& options) {
    if (const auto guard = share::install_sigbus_guard(); !guard) return fail(guard.error());
    const unsigned long child_nofile = raise_descriptor_limit();
    auto server = compositor::Server::create(options, child_nofile);
    if (!server) return fail(server.error());
    fmt::print(stderr, "share-compositor: WAYLAND_DISPLAY={}, {}x{}, {}\n", (*server)->socket_name(),
               options.width, options.height, (*server)->renderer());
    const int status = (*server)->run();
    if (options.explain == compositor::Explain::table) fmt::print(stderr, "{}", (*server)->ledger().table());
    if (options.explain == compositor::Explain::json) fmt::print("{}\n", (*server)->ledger().json_summary());
    return printed(status);
}

} // namespace

int main(int argc, char** argv) {
    fill_standard_streams();
    try {
        const auto parsed = compositor::parse_options(argc, argv);
        if (const auto* exit = std::get_if<compositor::Exit>(&parsed)) {
            std::fputs(exit->text.c_str(), exit->status == 0 ? stdout : stderr);
            return printed(exit->status);
        }
        return run(std::get<compositor::Options>(parsed));
    } catch (const std::bad_alloc&) {
        std::fputs("share-compositor: out of memory\n", stderr);
    } catch (const std::exception& error) { // a closed stdout, from fmt
        std::fprintf(stderr, "share-compositor: %s\n", error.what());
    }
    return 1;
}
