// SPDX-License-Identifier: MIT
#include "egl_support.hpp"

#include <algorithm>

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
