// SPDX-License-Identifier: MIT
#include "egl_support.hpp"

#include <algorithm>

#include <share/egl/devices.hpp>
#include <share/egl/image.hpp>

#include "process.hpp"

using share::egl::Display;

TEST_CASE("a display says which driver draws and whether it is software") {
    const auto display = testing::open_display();
    CHECK_FALSE(display->driver().empty());
    CHECK(display->version().find("OpenGL ES 3") != std::string::npos);
    CHECK(display->is_software() == (display->driver().find("pipe") != std::string::npos));
    if (display->is_software())
        CHECK(display->main_device() == 0);
    else
        CHECK(display->main_device() != 0);
}

TEST_CASE("two displays live side by side and one survives the other's end") {
    auto first = testing::open_display();
    const auto second = testing::open_display();
    first.reset();
    REQUIRE(second->make_current());
    CHECK_FALSE(second->advertised_formats().empty());
}

TEST_CASE("opening and closing displays leaves no fd behind") {
    testing::open_display().reset(); // the driver's own once-only files
    const auto before = testing::count_fds();
    for (int i = 0; i < 3; ++i)
        testing::open_display().reset();
    CHECK(testing::count_fds() == before);
}

TEST_CASE("a DRM node that does not exist is refused by its name") {
    testing::open_display();
    const auto refused = Display::open({"/dev/dri/renderD999", false});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == share::Code::unavailable);
    CHECK(refused.error().text().find("/dev/dri/renderD999") != std::string::npos);
}

TEST_CASE("XRGB8888 is among the advertised formats") {
    const auto display = testing::open_display();
    const auto formats = display->advertised_formats();
    CHECK(std::any_of(formats.begin(), formats.end(),
                      [](const auto& f) { return f.format == share::format::xrgb8888; }));
}

TEST_CASE("a software driver on a DRM node, which would crash on them, imports no buffers") {
    testing::open_display();
    bool found = false;
    for (const auto& device : share::egl::list_devices()) {
        if (device.node.empty() || device.software) continue;
        const auto display = Display::open({device.node, false});
        if (!display || !(*display)->is_software()) continue;
        INFO(device.node);
        found = true;
        CHECK_FALSE((*display)->imports());
        CHECK((*display)->advertised_formats().empty());
        const auto image =
            share::egl::Image::import(*display, testing::memfd_buffer(16, 16, share::format::xrgb8888));
        REQUIRE_FALSE(image);
        CHECK(image.error().code == share::Code::unsupported);
    }
    if (!found) SKIP("no DRM node without a driver that draws (vgem, a display controller)");
}

TEST_CASE("without a driver for a device the display is EGL's software device, which takes memfds") {
    const auto display = testing::open_display();
    if (!display->is_software()) SKIP("this machine draws in hardware");
    CHECK(display->imports());
    CHECK_FALSE(display->advertised_formats().empty());
}

TEST_CASE("devices are listed, the software device among them on Mesa") {
    testing::open_display();
    const auto devices = share::egl::list_devices();
    for (const auto& device : devices)
        CHECK((device.software || !device.node.empty()));
}
