// SPDX-License-Identifier: MIT
// The show: files in turn, each decoded straight into a buffer of the window's swapchain and presented.
#pragma once

#include <memory>
#include <vector>

#include "stop_signal.hpp"
#include "window.hpp"

namespace producer {

class Show {
public:
    Show(const Stage& stage, StopSignal& stop);

    /// Opens files until one is a picture and gives its info, so that a window can be made for it; nullptr
    /// when none is. Damaged ones are reported on standard error.
    const share::SourceInfo* first_picture();
    /// Presents until the end that the options say. False when no frame was shown.
    /// Errors: those of the display; a damaged file is reported, and the next one follows.
    share::Result<bool> run(Window& window);

private:
    enum class Presented : std::uint8_t { yes, bad_file, stopped };
    share::Result<Presented> present_next(Window& window);
    share::Result<share::Swapchain::Image> acquire(Window& window, share::Swapchain& swapchain);
    share::Result<void> pause(Window& window, share::Swapchain& swapchain);
    share::Result<void> wait_for_display(Window& window, share::Swapchain& swapchain);
    share::Result<void> wait_last_shown(Window& window, share::Swapchain& swapchain);
    share::Source* open_current();
    void report(const share::Error& error);
    bool stopping(const Window& window);
    bool at_end() const noexcept;

    const Stage& stage_;
    StopSignal& stop_;
    std::vector<std::unique_ptr<share::Source>> sources_; ///< by file; null until opened
    std::vector<bool> reported_;                          ///< by file
    std::size_t at_ = 0;                                  ///< the file of the next frame
    std::uint64_t shown_ = 0;
    share::Swapchain* last_ = nullptr; ///< where the last frame went; the window's
};

} // namespace producer
