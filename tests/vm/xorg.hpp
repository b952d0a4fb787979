// SPDX-License-Identifier: MIT
// An Xorg on the KMS device (modesetting), and a client of it that hands over dma-bufs by hand.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <xcb/present.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

#include <share/buffer.hpp>

#include "display.hpp"

namespace testing {

class Xorg {
public:
    /// `accel`: modesetting's AccelMethod, "none" or "glamor". Skips the test where Xorg is not installed, or
    /// glamor does not come up (says what the server said); fails when it does not start.
    explicit Xorg(const std::string& accel);
    const std::string& display() const { return display_; }
    Process& process() { return process_; }
    /// What is on the display, judged by scan-out.
    share::kms::Device& device() { return *device_; }
    std::string log() const;

private:
    TempDir dir_;
    Process process_;
    std::string display_;
    std::shared_ptr<share::kms::Device> device_;
};

struct XClient {
    explicit XClient(const std::string& display);
    ~XClient();
    XClient(const XClient&) = delete;
    XClient& operator=(const XClient&) = delete;

    std::uint32_t id() const { return xcb_generate_id(xcb); }
    bool has_extension(const char* name) const;
    /// True when the server answers.
    bool alive() const;
    /// Empty, or the X error as text.
    std::string check(xcb_void_cookie_t cookie) const;
    /// The MIT-SHM pixmap of a buffer whose dma-buf is attached by fd; fails the test when it is refused.
    xcb_pixmap_t shm_pixmap(share::Buffer& buffer);
    xcb_shm_seg_t shm_segment(share::Buffer& buffer);
    /// Covers the screen, above everything.
    xcb_window_t fullscreen_window();
    /// Pixels of a drawable, by GetImage, that are not the pattern's.
    std::size_t wrong_pixels(xcb_drawable_t drawable, std::uint32_t width, std::uint32_t height,
                             std::uint32_t seed);

    xcb_connection_t* xcb = nullptr;
    xcb_screen_t* screen = nullptr;
    xcb_gcontext_t gc = 0;
};

/// Presents a pixmap in a window and waits for the server's word: XCB_PRESENT_COMPLETE_MODE_*, nothing when
/// none came (the server died, or refused).
class Presenter {
public:
    Presenter(XClient& client, xcb_window_t window);
    ~Presenter();
    Presenter(const Presenter&) = delete;
    Presenter& operator=(const Presenter&) = delete;
    std::optional<int> present(xcb_pixmap_t pixmap);

private:
    XClient& client_;
    xcb_window_t window_;
    xcb_special_event_t* events_;
    std::uint32_t serial_ = 0;
};

/// Pixels of the display that are not the pattern's, once they are all right or the time is over.
std::size_t wrong_on_display(share::kms::Device& device, std::uint32_t seed,
                             std::chrono::milliseconds limit = std::chrono::seconds(5));

} // namespace testing
