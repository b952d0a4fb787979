// SPDX-License-Identifier: MIT
// FakeCompositor: a Wayland server in a thread of the test that can play many compositors, good and bad.
//
// The client gets a connected wl_display from connect(). What the server saw may be read at any time
// (atomics); what it shall do is set before start(), but for the atomics. Thread: the server's objects live
// in its own thread.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <share/unique_fd.hpp>

struct wl_display;

namespace testing {

struct FakeRules {
    std::uint32_t dmabuf_version = 0; ///< 0: no linux-dmabuf
    std::vector<std::pair<std::uint32_t, std::uint64_t>> dmabuf_formats;
    std::vector<std::uint32_t> shm_formats{0, 1}; ///< wl_shm codes
    bool shm = true;
    bool presentation = false;
    std::uint32_t compositor_version = 6;
    /// Answers zwp_linux_buffer_params_v1.create: true: created. Given the fd and its offset.
    std::function<bool(int fd, std::uint32_t offset)> accept = [](int, std::uint32_t) { return true; };
    /// Asked too: of the first plane.
    std::function<bool(std::uint32_t offset, std::uint32_t stride)> accept_layout =
        [](std::uint32_t, std::uint32_t) { return true; };
    bool answer_create = true;    ///< false: neither created nor failed
    bool error_on_create = false; ///< a protocol error instead
    bool frame_callbacks = true;
    bool release = true;         ///< the buffer before, when another is committed
    bool discard_frames = false; ///< what wp_presentation tells
    bool zero_copy = false;
    /// The format table as sent: claimed size, real bytes, indices. Empty: made of dmabuf_formats.
    struct Table {
        std::uint32_t claimed = 0;
        std::vector<std::uint8_t> bytes;
        std::vector<std::uint16_t> indices;
    };
    std::unique_ptr<Table> table;
};

class FakeCompositor {
public:
    explicit FakeCompositor(FakeRules rules);
    ~FakeCompositor();
    FakeCompositor(const FakeCompositor&) = delete;
    FakeCompositor& operator=(const FakeCompositor&) = delete;

    /// A client's wl_display; the caller disconnects it.
    wl_display* connect();
    /// From here on nothing is read or answered.
    void hang() { hung_ = true; }
    /// Releases every buffer that is held back (rules.release == false).
    void release_all() { release_all_ = true; }

    std::atomic<std::uint64_t> fds_received{0}; ///< of all requests
    std::atomic<std::uint64_t> commits{0}, buffers_made{0}, buffers_destroyed{0}, immediate_creates{0};
    std::atomic<std::uint64_t> last_modifier{0};
    std::atomic<std::uint64_t> damage_buffer{0}, damage_surface{0};

    struct Impl;

private:
    friend struct Impl;
    void serve();
    std::unique_ptr<Impl> impl_;
    std::atomic<bool> hung_{false}, stop_{false}, release_all_{false};
    std::thread thread_;
};

} // namespace testing
