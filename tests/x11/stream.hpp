// SPDX-License-Identifier: MIT
// A window with a swapchain on a test's server, and frames whose every pixel is known.
#pragma once

#include <memory>
#include <vector>

#include <share/share.hpp>
#include <share/x11/swapchain.hpp>
#include <share/x11/window.hpp>

#include "x_server.hpp"

namespace testing {

inline share::Deadline soon() {
    return share::Deadline::in(std::chrono::seconds(10));
}

struct Stream {
    explicit Stream(const std::string& display, share::x11::SwapchainOptions options = {});
    /// Acquires, fills with pattern `seed`, presents.
    share::Result<void> frame(std::uint32_t seed, std::span<const share::Rect> damage = {});

    share::HeapTable heaps = share::HeapTable::probe();
    share::Ledger ledger{"test"};
    std::shared_ptr<share::x11::Connection> connection;
    std::unique_ptr<share::x11::Window> window;
    std::unique_ptr<share::x11::X11Swapchain> swapchain;
};

constexpr std::uint32_t stream_width = 301, stream_height = 203; // odd, so that rows need padding

void fill(const share::Mapping& mapping, std::uint32_t seed);
/// The pattern as GetImage should show it: bits without meaning are 0.
std::vector<std::uint8_t> expected(share::Fourcc format, std::uint32_t width, std::uint32_t height,
                                   std::uint32_t seed);
/// The picture in the window with those bits masked.
std::vector<std::uint8_t> shown(const std::string& display, xcb_window_t window, share::Fourcc format);
/// Every note about `about`, joined.
std::string notes(const share::Ledger& ledger, const std::string& about);

} // namespace testing
