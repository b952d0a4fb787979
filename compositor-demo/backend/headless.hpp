// SPDX-License-Identifier: MIT
// The headless output: a picture in memory, a repaint clock, a PNG on request.
// One thread: the compositor's, whose wl_event_loop runs the clock.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <wayland-server-core.h>

#include "render/renderer.hpp"

namespace compositor::backend {

/// What happened to a committed frame; feeds wp_presentation.
struct Presented : scene::Drawn {
    std::timespec when{};         ///< CLOCK_MONOTONIC
    std::uint32_t refresh_ns = 0; ///< 0: no fixed refresh
    std::uint64_t sequence = 0;
    bool zero_copy = false; ///< the client's buffer itself is the picture (kind_zero_copy)
};

class HeadlessOutput {
public:
    /// Whoever makes frames.
    class Painter {
    public:
        virtual ~Painter() = default;
        /// The clock ticked and a repaint was scheduled: build the frame and commit() it.
        virtual void repaint() = 0;
        /// The frame committed last is being shown since `presented.when`.
        virtual void presented(const Presented& presented) = 0;
    };

    /// refresh_mhz 0: repaint as soon as there is damage (an idle task of the loop).
    static share::Result<std::unique_ptr<HeadlessOutput>> create(wl_event_loop* loop,
                                                                 render::Renderer& renderer, int width,
                                                                 int height, int refresh_mhz,
                                                                 Painter& painter);
    ~HeadlessOutput();

    int width() const noexcept;
    int height() const noexcept;
    int refresh_mhz() const noexcept;

    /// Asks for a Painter::repaint at the next tick. Idempotent until then.
    void schedule_repaint();
    /// Shows the frame: direct when the frame has one buffer for all, drawn otherwise. What the drawn picture
    /// lacks because buffers were shown directly meanwhile is drawn first, from the buffer shown last: nobody
    /// else need know. Ends in one Painter::presented, at once or at the next tick. A directly shown content
    /// is held until the next commit.
    share::Result<void> commit(const scene::Frame& frame);
    /// A copy of the picture that is shown: XRGB8888 rows without padding, top first.
    share::Result<std::vector<std::uint32_t>> picture();

private:
    HeadlessOutput();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace compositor::backend
