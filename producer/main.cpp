// SPDX-License-Identifier: MIT
// share-producer: shows pictures, decoded straight into the memory that the display shows.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <fmt/format.h>

#include <share/media/test_card.hpp>

#include "show.hpp"
#ifdef PRODUCER_V4L2
#include "camera_show.hpp"
#endif

namespace {

using namespace producer;
using share::Result;
using namespace std::chrono_literals;

/// With one of fds 0 to 2 closed, a socket or a frame would get its number, and a message would go into it.
void fill_standard_fds() {
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2)
        fd = dup(fd);
    if (fd > 2) close(fd);
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

int fail(const share::Error& error) {
    fmt::print(stderr, "share-producer: {}\n", error.text());
    return 1;
}

int write_test_card(const Options& options) {
    const auto size = options.size.value_or(Size{1920, 1080});
    if (auto written = share::media::write_test_card(options.test_card, size.width, size.height); !written)
        return fail(written.error());
    return 0;
}

Result<std::unique_ptr<Window>> open_x11([[maybe_unused]] const Stage& stage,
                                         [[maybe_unused]] const share::SourceInfo& first) {
#ifdef PRODUCER_X11
    return open_x11_window(stage, first, share::Deadline::in(10s));
#else
    return share::make_error(share::Code::unsupported, "opening an X11 window",
                             "this share-producer was built without X11");
#endif
}

Result<std::unique_ptr<Window>> open_window(const Stage& stage, const share::SourceInfo& first) {
    if (stage.options.display == DisplayKind::x11) return open_x11(stage, first);
    auto wayland = open_wayland_window(stage, first, share::Deadline::in(10s));
    if (wayland || stage.options.display == DisplayKind::wayland) return wayland;
    if (!std::getenv("DISPLAY"))
        return share::make_error(share::Code::unavailable, "finding a display",
                                 wayland.error().text() + "; DISPLAY is not set either");
    stage.ledger.note("display", "X11, because Wayland failed: " + wayland.error().text());
    auto x11 = open_x11(stage, first);
    if (!x11)
        return share::make_error(share::Code::unavailable, "finding a display",
                                 wayland.error().text() + "; " + x11.error().text());
    return x11;
}

/// What was printed has arrived, or the status says that it has not.
int printed(int status) {
    std::cout.flush();
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout) return status;
    fmt::print(stderr, "share-producer: writing to standard output failed\n");
    return status == 0 ? 1 : status;
}

int explain(const share::Ledger& ledger, Explain how) {
    if (how == Explain::table) fmt::print("{}", ledger.table());
    if (how == Explain::json) fmt::print("{}\n", ledger.json_summary());
    return printed(0);
}

share::Result<bool> show_camera([[maybe_unused]] const Stage& stage, [[maybe_unused]] StopSignal& stop) {
#ifdef PRODUCER_V4L2
    CameraShow show(stage, stop);
    if (auto found = show.find(); !found) return std::move(found).error();
    auto window = open_window(stage, show.info());
    if (!window) return std::move(window).error();
    return show.run(**window);
#else
    return share::make_error(share::Code::unsupported, "showing a camera",
                             "this share-producer was built without libshare-v4l2");
#endif
}

share::Result<bool> show_files(const Stage& stage, StopSignal& stop) {
    Show show(stage, stop);
    const auto* first = show.first_picture();
    if (!first) return false;
    auto window = open_window(stage, *first);
    if (!window) return std::move(window).error();
    return show.run(**window);
}

int run(const Options& options) {
    if (!options.test_card.empty()) return write_test_card(options);
    auto stop = StopSignal::create();
    if (!stop) return fail(stop.error());
    const auto heaps = share::HeapTable::probe();
    share::Ledger ledger("share-producer");
    const Stage stage{heaps, ledger, options};
    auto shown = options.camera ? show_camera(stage, *stop) : show_files(stage, *stop);
    if (!shown) fail(shown.error());
    const int told = explain(ledger, options.explain);
    return shown && *shown ? told : 1;
}

} // namespace

int main(int argc, char** argv) {
    fill_standard_fds();
    keep_freed_pages();
    signal(SIGXFSZ, SIG_IGN); // a limit on file sizes is an error like others: EFBIG
    try {
        const auto parsed = producer::parse_options(argc, argv);
        if (const int* done = std::get_if<int>(&parsed)) return printed(*done);
        return run(std::get<Options>(parsed));
    } catch (const std::bad_alloc&) {
        std::fputs("share-producer: out of memory\n", stderr);
        return 1;
    }
}
