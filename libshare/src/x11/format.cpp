// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <share/x11/swapchain.hpp>

#include "convert.hpp"

namespace share::x11 {

namespace {

struct Known {
    std::uint8_t depth, bits;
    std::uint32_t red, green, blue;
    Fourcc format;
};

constexpr std::array<Known, 7> known = {{
    {24, 32, 0xff0000, 0xff00, 0xff, format::xrgb8888},
    {24, 32, 0xff, 0xff00, 0xff0000, format::xbgr8888},
    {32, 32, 0xff0000, 0xff00, 0xff, format::argb8888},
    {32, 32, 0xff, 0xff00, 0xff0000, format::abgr8888},
    {16, 16, 0xf800, 0x7e0, 0x1f, format::rgb565},
    {30, 32, 0x3ff00000, 0xffc00, 0x3ff, format::xrgb2101010},
    {30, 32, 0x3ff, 0xffc00, 0x3ff00000, format::xbgr2101010},
}};

const xcb_visualtype_t* find_visual(xcb_connection_t* xcb, xcb_visualid_t id) {
    for (auto screen = xcb_setup_roots_iterator(xcb_get_setup(xcb)); screen.rem > 0; xcb_screen_next(&screen))
        for (auto depth = xcb_screen_allowed_depths_iterator(screen.data); depth.rem > 0;
             xcb_depth_next(&depth))
            for (auto visual = xcb_depth_visuals_iterator(depth.data); visual.rem > 0;
                 xcb_visualtype_next(&visual))
                if (visual.data->visual_id == id) return visual.data;
    return nullptr;
}

const xcb_format_t* find_pixmap_format(xcb_connection_t* xcb, std::uint8_t depth) {
    for (auto it = xcb_setup_pixmap_formats_iterator(xcb_get_setup(xcb)); it.rem > 0; xcb_format_next(&it))
        if (it.data->depth == depth) return it.data;
    return nullptr;
}

} // namespace

Fourcc choose_format(Fourcc window, std::span<const Fourcc> offered) noexcept {
    if (offered.empty() || std::find(offered.begin(), offered.end(), window) != offered.end()) return window;
    for (const auto fits : {&same_bytes, &converts})
        for (const Fourcc format : offered)
            if (fits(format, window)) return format;
    return 0;
}

Result<WindowFormat> window_format(Connection& connection, xcb_window_t window, Deadline deadline) {
    auto* xcb = connection.xcb();
    const auto operation = fmt::format("finding the pixel format of X window 0x{:x}", window);
    const auto attributes_cookie = xcb_get_window_attributes(xcb, window);
    const auto geometry_cookie = xcb_get_geometry(xcb, window);
    auto attributes =
        connection.reply<xcb_get_window_attributes_reply_t>(attributes_cookie, operation.c_str(), deadline);
    auto geometry = connection.reply<xcb_get_geometry_reply_t>(geometry_cookie, operation.c_str(), deadline);
    if (!attributes) return std::move(attributes).error();
    if (!geometry) return std::move(geometry).error();

    const auto* visual = find_visual(xcb, (*attributes)->visual);
    const auto* pixmap = find_pixmap_format(xcb, (*geometry)->depth);
    if (!visual || !pixmap)
        return make_error(Code::unsupported, operation,
                          "it has no visual that the server lists (an input-only window?)");
    if (pixmap->scanline_pad != 8 && pixmap->scanline_pad != 16 && pixmap->scanline_pad != 32)
        return make_error(
            Code::unsupported, operation,
            fmt::format("the server pads rows to {} bits; X11 knows 8, 16 and 32", pixmap->scanline_pad));
    if (xcb_get_setup(xcb)->image_byte_order != XCB_IMAGE_ORDER_LSB_FIRST)
        return make_error(Code::unsupported, operation,
                          "the server wants its pixels in big-endian order, which no format of ours has");
    const bool direct =
        visual->_class == XCB_VISUAL_CLASS_TRUE_COLOR || visual->_class == XCB_VISUAL_CLASS_DIRECT_COLOR;
    for (const auto& k : known)
        if (direct && k.depth == pixmap->depth && k.bits == pixmap->bits_per_pixel &&
            k.red == visual->red_mask && k.green == visual->green_mask && k.blue == visual->blue_mask)
            return WindowFormat{k.format, k.depth, k.bits, pixmap->scanline_pad};
    return make_error(
        Code::unsupported, operation,
        fmt::format(
            "its visual (class {}, depth {}, {} bits per pixel, masks {:x} {:x} {:x}) is none of XRGB8888, "
            "XBGR8888, RGB565, XRGB2101010, XBGR2101010; use a TrueColor screen of depth 16, 24 or 30",
            visual->_class, pixmap->depth, pixmap->bits_per_pixel, visual->red_mask, visual->green_mask,
            visual->blue_mask));
}

} // namespace share::x11
