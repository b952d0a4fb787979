// SPDX-License-Identifier: MIT
#include "x_server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <fmt/format.h>

namespace testing {

std::unique_ptr<XServer> XServer::start(Options options) {
    if (!have_program("Xvfb")) SKIP("Xvfb is not installed");
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const share::UniqueFd read_end(ends[0]);
    share::UniqueFd write_end(ends[1]);
    ProcessOptions child;
    child.args = {"Xvfb",     "-displayfd", std::to_string(write_end.get()), "-screen", "0", options.screen,
                  "-noreset", "-ac"};
    child.args.insert(child.args.end(), {options.tcp ? "-listen" : "-nolisten", "tcp"});
    child.args.insert(child.args.end(), options.args.begin(), options.args.end());
    child.keep_fds = {write_end.get()};
    auto server = std::make_unique<XServer>();
    server->process_ = std::make_unique<Process>(child);
    write_end.reset();
    std::string text;
    for (;;) {
        pollfd p{read_end.get(), POLLIN, 0};
        if (poll(&p, 1, 30'000) <= 0) break;
        char c = 0;
        if (read(read_end.get(), &c, 1) != 1 || c == '\n') break;
        text += c;
    }
    INFO("Xvfb said: " << server->process_->err());
    REQUIRE_FALSE(text.empty());
    server->number_ = std::stoi(text);
    server->display_ = fmt::format("{}:{}", options.tcp ? "127.0.0.1" : "", server->number_);
    return server;
}

XServer::~XServer() {
    if (!process_) return;
    process_->signal(SIGCONT);
    process_->signal(SIGTERM);
    if (process_->wait(std::chrono::seconds(5))) return;
    process_->signal(SIGKILL);
}

Screenshot look(const std::string& display, xcb_window_t window, std::uint32_t width, std::uint32_t height) {
    int screen = 0;
    xcb_connection_t* xcb = xcb_connect(display.c_str(), &screen);
    REQUIRE(xcb_connection_has_error(xcb) == 0);
    if (window == 0) window = xcb_setup_roots_iterator(xcb_get_setup(xcb)).data->root;
    xcb_generic_error_t* error = nullptr;
    auto* image = xcb_get_image_reply(xcb,
                                      xcb_get_image(xcb, XCB_IMAGE_FORMAT_Z_PIXMAP, window, 0, 0,
                                                    static_cast<std::uint16_t>(width),
                                                    static_cast<std::uint16_t>(height), ~0U),
                                      &error);
    std::free(error);
    Screenshot shot{width, height, 0, {}};
    if (image) {
        for (auto it = xcb_setup_pixmap_formats_iterator(xcb_get_setup(xcb)); it.rem > 0;
             xcb_format_next(&it))
            if (it.data->depth == image->depth) shot.bytes_per_pixel = it.data->bits_per_pixel / 8U;
        const std::size_t row = std::size_t{width} * shot.bytes_per_pixel;
        const std::size_t stride = (row + 3) / 4 * 4;
        const auto* data = xcb_get_image_data(image);
        for (std::uint32_t y = 0; y < height; ++y)
            shot.pixels.insert(shot.pixels.end(), data + y * stride, data + y * stride + row);
    }
    std::free(image);
    xcb_disconnect(xcb);
    REQUIRE(shot.bytes_per_pixel != 0);
    return shot;
}

std::size_t count_sysv_segments(pid_t creator) {
    std::ifstream file("/proc/sysvipc/shm");
    std::size_t count = 0;
    std::string line;
    std::getline(file, line); // key shmid perms size cpid ...
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string key, id, mode, size;
        pid_t pid = 0;
        words >> key >> id >> mode >> size >> pid;
        if (pid == creator) ++count;
    }
    return count;
}

} // namespace testing
