// SPDX-License-Identifier: MIT
// The show of a camera: its frames in the buffers that the driver wrote, handed to the display as they are.
#pragma once

#include <memory>
#include <optional>

#include <share/v4l2/camera.hpp>

#include "stop_signal.hpp"
#include "window.hpp"

namespace producer {

class CameraShow {
public:
    CameraShow(const Stage& stage, StopSignal& stop) : stage_(stage), stop_(stop) {}

    /// Finds the device that the command line names. Errors: those of v4l2::Device.
    share::Result<void> find();
    /// For the window's title and size.
    const share::SourceInfo& info() const noexcept { return info_; }
    /// Presents until the end that the options say. False when no frame was shown.
    /// Errors: those of the display and the camera; one that is unplugged ends the show.
    share::Result<bool> run(Window& window);

private:
    share::Result<void> open(const Window& window);
    /// Serves the display meanwhile. Nothing when the show is to end.
    share::Result<std::optional<share::v4l2::Frame>> next(Window& window);
    share::Result<void> present(Window& window, const share::v4l2::Frame& frame);
    share::Result<void> wait_last_shown(Window& window);
    bool stopping(const Window& window) { return stop_.requested() || window.closed(); }

    const Stage& stage_;
    StopSignal& stop_;
    share::SourceInfo info_;
    std::optional<share::v4l2::Device> device_; ///< until the camera has it
    std::unique_ptr<share::v4l2::Camera> camera_;
    std::uint64_t shown_ = 0;
};

} // namespace producer
