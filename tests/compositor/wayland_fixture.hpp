// SPDX-License-Identifier: MIT
// A compositor session and libwayland clients in one process and one thread, without an output: a test shows
// frames by hand. Everything a client may do wrong is done by real libwayland.
#pragma once

#include <wayland-client.h>

// The protocol has a request of the same name as one of its interfaces.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <presentation-time-client.h>
#pragma GCC diagnostic pop
#include <linux-dmabuf-v1-client.h>
#include <single-pixel-buffer-v1-client.h>
#include <viewporter-client.h>
#include <xdg-shell-client.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <share/ledger.hpp>
#include <share/result.hpp>
#include <share/unique_fd.hpp>

struct wl_client;

namespace testing {

/// What a posted protocol error says.
struct PostedError {
    std::string interface;
    std::uint32_t code = 0;
    friend bool operator==(const PostedError&, const PostedError&) = default;
};

class TestCompositor {
public:
    /// `dmabufs`: linux-dmabuf is offered too, for XRGB8888 linear.
    TestCompositor(int width = 400, int height = 300, bool dmabufs = false);
    ~TestCompositor();
    TestCompositor(const TestCompositor&) = delete;
    TestCompositor& operator=(const TestCompositor&) = delete;

    /// One end of a connection whose other end is a client of the session.
    share::UniqueFd connect();
    /// Lets the server handle what has arrived.
    void serve();
    /// Builds a frame and shows it. False when there was nothing to show.
    bool show(bool zero_copy = false);
    /// Of the frame shown last.
    struct Picture {
        std::vector<std::string> items; ///< "dest x,y wxh color|content" of each
        std::uint64_t damaged_pixels = 0;
        bool direct = false;
    };
    const Picture& picture() const;
    share::Ledger& ledger();
    int repaints_asked() const;
    std::size_t surfaces() const;
    int clients() const;
    /// The content shown directly or drawn last is found to be truncated.
    void lose_content_in_next_frame();
    /// The file of the next committed buffer is found to be too short.
    void lose_content_at_commit();
    /// No content of the next frame can be read in time.
    void leave_next_frame_undrawn();
    /// From now on drawing copies contents.
    void copy_contents();
    /// For commits that wait for a fence from now on.
    void set_fence_patience(std::chrono::milliseconds patience);
    /// For clients that are pinged from now on.
    void set_ping_patience(int milliseconds);
    int hung_clients() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// A client with everything bound at the version that the registry offers.
class TestClient {
public:
    explicit TestClient(TestCompositor& compositor);
    ~TestClient();
    TestClient(const TestClient&) = delete;
    TestClient& operator=(const TestClient&) = delete;

    /// Until the server has answered all that was asked, or the connection is dead.
    void sync();
    /// The error that ended the connection.
    std::optional<PostedError> error();
    bool alive();

    wl_display* display = nullptr;
    wl_registry* registry = nullptr;
    wl_compositor* compositor = nullptr;
    wl_subcompositor* subcompositor = nullptr;
    wl_shm* shm = nullptr;
    wl_seat* seat = nullptr;
    wl_output* output = nullptr;
    wl_data_device_manager* data_device_manager = nullptr;
    xdg_wm_base* wm_base = nullptr;
    wp_viewporter* viewporter = nullptr;
    wp_presentation* presentation = nullptr;
    wp_single_pixel_buffer_manager_v1* single_pixel = nullptr;
    zwp_linux_dmabuf_v1* dmabuf = nullptr;
    std::map<std::string, std::uint32_t> versions;
    std::uint32_t output_name = 0; ///< in the registry

    wl_surface* surface() { return wl_compositor_create_surface(compositor); }
    /// A buffer of one opaque pixel.
    wl_buffer* pixel(std::uint32_t alpha = UINT32_MAX);
    /// A memfd pool of `size` bytes whose file really has `file_size`; the fd stays open as `shm_fd`.
    wl_shm_pool* pool(int size, int file_size);
    wl_buffer* shm_buffer(int width, int height, std::uint32_t format = WL_SHM_FORMAT_XRGB8888);
    share::UniqueFd shm_fd;

private:
    TestCompositor& server_;
};

/// An xdg_toplevel with what it was told.
struct TestToplevel {
    explicit TestToplevel(TestClient& client, bool commit = true);
    /// Acks what was configured last, attaches and commits.
    void map(wl_buffer* buffer, int width = 0, int height = 0);
    bool has_state(std::uint32_t state) const;

    TestClient& client;
    wl_surface* surface;
    xdg_surface* base;
    xdg_toplevel* toplevel;
    wp_viewport* viewport = nullptr;
    std::uint32_t serial = 0;
    int configures = 0, width = 0, height = 0, bounds_width = 0, capabilities = 0;
    std::vector<std::uint32_t> states;
};

} // namespace testing
