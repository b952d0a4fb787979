// SPDX-License-Identifier: MIT
// xshm-bridge: pictures in shared memory between a program and an X server.
#include <fcntl.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <cstdio>

#include <fmt/format.h>

#include "options.hpp"
#include "stop.hpp"
#include "to_x11/show.hpp"

namespace {

/// Closed standard fds would be given to a socket or memfd of ours, and then be printed into.
void fill_standard_fds() {
    for (int fd = 0; fd <= 2; ++fd)
        if (fcntl(fd, F_GETFD) < 0) (void)open("/dev/null", O_RDWR);
}

/// A decoder takes and frees the same buffers for each frame. Pages given back in between would be faulted in
/// anew for every frame.
void keep_freed_pages() {
#ifdef __GLIBC__
    constexpr int most = 1 << 30;
    mallopt(M_TRIM_THRESHOLD, most);
    mallopt(M_MMAP_THRESHOLD, most / 32); // 32 MiB: what glibc takes at most
#endif
}

/// What was printed has arrived, or the status says that it has not.
int printed(int status) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
    fmt::print(stderr, "xshm-bridge: writing to standard output failed\n");
    return status == 0 ? 1 : status;
}

} // namespace

int main(int argc, char** argv) {
    fill_standard_fds();
    keep_freed_pages();
    bridge::install_stop_signals();
    auto parsed = bridge::parse_options(argc, argv);
    if (const auto* exit = std::get_if<bridge::Exit>(&parsed)) {
        std::fputs(exit->text.c_str(), exit->status == 0 ? stdout : stderr);
        return printed(exit->status);
    }
    const auto shown = bridge::show(std::get<bridge::Options>(parsed));
    if (shown) return printed(0);
    fmt::print(stderr, "xshm-bridge: {}\n", shown.error().text());
    return 1;
}
