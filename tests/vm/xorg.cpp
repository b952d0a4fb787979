// SPDX-License-Identifier: MIT
#include "xorg.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <poll.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "kms_support.hpp"

namespace testing {
namespace {

template<class T>
using XPtr = std::unique_ptr<T, decltype(&std::free)>;
template<class T>
XPtr<T> own(T* reply) {
    return XPtr<T>(reply, &std::free);
}

/// glamor refuses llvmpipe unless the screen has a second GPU ("Allowing glamor on llvmpipe for PRIME"):
/// naming one in the configuration is enough.
std::string write_config(const TempDir& dir, const std::string& accel) {
    std::string path = dir / "xorg.conf";
    std::ofstream(path) << fmt::format(R"(Section "ServerFlags"
    Option "AutoAddDevices" "false"
    Option "AutoAddGPU" "false"
    Option "AllowMouseOpenFail" "true"
EndSection
Section "Device"
    Identifier "display"
    Driver "modesetting"
    Option "kmsdev" "/dev/dri/{0}"
    Option "AccelMethod" "{1}"
EndSection
Section "Device"
    Identifier "second"
    Driver "modesetting"
    Option "kmsdev" "/dev/dri/none"
EndSection
Section "Screen"
    Identifier "screen"
    Device "display"
    DefaultDepth 24
{2}    SubSection "Display"
        Depth 24
        Modes "640x480"
    EndSubSection
EndSection
)",
                                       vkms_card(), accel,
                                       accel == "glamor" ? "    GPUDevice \"second\"\n" : "");
    return path;
}

} // namespace

Xorg::Xorg(const std::string& accel)
    : process_(
          {.env = {"HOME=" + dir_.path().string(), "DISPLAY", "WAYLAND_DISPLAY"},
           .args = {"Xorg", "-displayfd", "1", "-config", write_config(dir_, accel), "-logfile", dir_ / "log",
                    "-sharevts", "-novtswitch", "-noreset", "-nolisten", "tcp", "-ac", "vt1"}}) {
    if (!have_program("Xorg")) SKIP("Xorg is not installed");
    eventually([&] { return process_.out().find('\n') != std::string::npos || !process_.running(); },
               std::chrono::seconds(30));
    INFO(process_.err() << log());
    std::istringstream out(process_.out());
    std::string number;
    REQUIRE(std::getline(out, number));
    display_ = ":" + number;
    device_ = kms_device();
    if (accel == "glamor" && log().find("glamor initialized") == std::string::npos)
        SKIP("Xorg's glamor does not come up on vkms here: " << log());
}

std::string Xorg::log() const {
    std::ostringstream text;
    std::ifstream file(dir_ / "log");
    for (std::string line; std::getline(file, line);)
        if (line.find("glamor") != std::string::npos || line.find("(EE)") != std::string::npos)
            text << line << '\n';
    return text.str();
}

XClient::XClient(const std::string& display) {
    int number = 0;
    xcb = xcb_connect(display.c_str(), &number);
    REQUIRE(xcb_connection_has_error(xcb) == 0);
    screen = xcb_setup_roots_iterator(xcb_get_setup(xcb)).data;
    gc = id();
    const std::uint32_t no_exposures = 0;
    xcb_create_gc(xcb, gc, screen->root, XCB_GC_GRAPHICS_EXPOSURES, &no_exposures);
}

XClient::~XClient() {
    xcb_disconnect(xcb);
}

bool XClient::has_extension(const char* name) const {
    const auto length = static_cast<std::uint16_t>(std::strlen(name));
    const auto reply = own(xcb_query_extension_reply(xcb, xcb_query_extension(xcb, length, name), nullptr));
    return reply && reply->present;
}

bool XClient::alive() const {
    return own(xcb_get_input_focus_reply(xcb, xcb_get_input_focus(xcb), nullptr)) != nullptr;
}

std::string XClient::check(xcb_void_cookie_t cookie) const {
    const auto error = own(xcb_request_check(xcb, cookie));
    if (error)
        return fmt::format("X error {} of request {}.{}", error->error_code, error->major_code,
                           error->minor_code);
    return xcb_connection_has_error(xcb) != 0 ? "the connection broke" : "";
}

xcb_shm_seg_t XClient::shm_segment(share::Buffer& buffer) {
    auto dmabuf = buffer.export_dmabuf();
    must(dmabuf);
    const int fd = fcntl(dmabuf->fd(), F_DUPFD_CLOEXEC, 3); // libxcb closes what it sends
    const xcb_shm_seg_t segment = id();
    REQUIRE(check(xcb_shm_attach_fd_checked(xcb, segment, fd, 0)) == "");
    return segment;
}

xcb_pixmap_t XClient::shm_pixmap(share::Buffer& buffer) {
    const auto version = own(xcb_shm_query_version_reply(xcb, xcb_shm_query_version(xcb), nullptr));
    REQUIRE((version && version->shared_pixmaps));
    const share::Layout& layout = buffer.layout();
    REQUIRE(layout.plane(0).stride == layout.width() * 4); // X's own rule
    const xcb_shm_seg_t segment = shm_segment(buffer);
    const xcb_pixmap_t pixmap = id();
    REQUIRE(check(xcb_shm_create_pixmap_checked(
                xcb, pixmap, screen->root, static_cast<std::uint16_t>(layout.width()),
                static_cast<std::uint16_t>(layout.height()), 24, segment, 0)) == "");
    return pixmap;
}

xcb_window_t XClient::fullscreen_window() {
    const xcb_window_t window = id();
    const std::uint32_t values[] = {1}; // override-redirect: there is no window manager to ask
    xcb_create_window(xcb, XCB_COPY_FROM_PARENT, window, screen->root, 0, 0, screen->width_in_pixels,
                      screen->height_in_pixels, 0, XCB_WINDOW_CLASS_INPUT_OUTPUT, screen->root_visual,
                      XCB_CW_OVERRIDE_REDIRECT, values);
    REQUIRE(check(xcb_map_window_checked(xcb, window)) == "");
    return window;
}

std::size_t XClient::wrong_pixels(xcb_drawable_t drawable, std::uint32_t width, std::uint32_t height,
                                  std::uint32_t seed) {
    const auto image = own(xcb_get_image_reply(xcb,
                                               xcb_get_image(xcb, XCB_IMAGE_FORMAT_Z_PIXMAP, drawable, 0, 0,
                                                             static_cast<std::uint16_t>(width),
                                                             static_cast<std::uint16_t>(height), ~0U),
                                               nullptr));
    if (!image) return std::size_t{width} * height;
    REQUIRE(static_cast<std::size_t>(xcb_get_image_data_length(image.get())) >=
            std::size_t{width} * height * 4);
    const std::uint8_t* at = xcb_get_image_data(image.get());
    std::size_t wrong = 0;
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x, at += 4) {
            std::uint32_t pixel = 0;
            std::memcpy(&pixel, at, 4);
            wrong += (pixel & 0xff'ffffU) != pattern(x, y, seed) ? 1U : 0U;
        }
    return wrong;
}

Presenter::Presenter(XClient& client, xcb_window_t window) : client_(client), window_(window) {
    const std::uint32_t event = client.id();
    xcb_present_select_input(client.xcb, event, window, XCB_PRESENT_EVENT_MASK_COMPLETE_NOTIFY);
    events_ = xcb_register_for_special_xge(client.xcb, &xcb_present_id, event, nullptr);
}

Presenter::~Presenter() {
    xcb_unregister_for_special_event(client_.xcb, events_);
}

std::optional<int> Presenter::present(xcb_pixmap_t pixmap) {
    const auto cookie = xcb_present_pixmap_checked(client_.xcb, window_, pixmap, ++serial_, 0, 0, 0, 0, 0, 0,
                                                   0, XCB_PRESENT_OPTION_NONE, 0, 0, 0, 0, nullptr);
    if (!client_.check(cookie).empty()) return std::nullopt;
    std::optional<int> mode;
    eventually([&] {
        for (;;) {
            const auto event = own(xcb_poll_for_special_event(client_.xcb, events_));
            if (!event) return xcb_connection_has_error(client_.xcb) != 0;
            const auto* complete = reinterpret_cast<const xcb_present_complete_notify_event_t*>(event.get());
            if (complete->serial != serial_) continue;
            mode = complete->mode;
            return true;
        }
    });
    return mode;
}

std::size_t wrong_on_display(share::kms::Device& device, std::uint32_t seed,
                             std::chrono::milliseconds limit) {
    std::size_t wrong = ~std::size_t{0};
    eventually(
        [&] {
            const auto seen = look_at_display(device);
            if (!seen) return false;
            wrong = 0;
            for (int y = 0; y < seen->picture.height; ++y)
                for (int x = 0; x < seen->picture.width; ++x) {
                    const Rgb& pixel = seen->picture.at(x, y);
                    const auto value = static_cast<std::uint32_t>(pixel.r << 16 | pixel.g << 8 | pixel.b);
                    wrong +=
                        value != pattern(static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y), seed)
                            ? 1U
                            : 0U;
                }
            return wrong == 0;
        },
        limit);
    return wrong;
}

} // namespace testing
