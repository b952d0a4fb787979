// SPDX-License-Identifier: MIT
#include "camera_show.hpp"

#include <cstdio>
#include <vector>

#include <fmt/format.h>

namespace producer {

using share::Code;
using share::Deadline;
using share::Result;
namespace v4l2 = share::v4l2;

namespace {

using namespace std::chrono_literals;
/// A camera or a display that makes no progress for so long is given up.
constexpr auto patience = 10s;
/// How long a wait may keep us from seeing a signal or a closed window.
constexpr auto slice = 100ms;

/// What a screen may want, best first: nothing is converted here.
const std::vector<share::Fourcc> screen_formats{
    share::format::xrgb8888, share::format::xbgr8888, share::format::argb8888, share::format::abgr8888,
    share::format::rgb888,   share::format::bgr888,   share::format::nv12,     share::format::yuyv,
    share::format::yuv420,   share::format::rgb565};

} // namespace

Result<void> CameraShow::find() {
    const std::string& what = *stage_.options.camera;
    auto device =
        what.starts_with('/') ? v4l2::Device::open(what) : v4l2::Device::find(what, v4l2::Kind::capture);
    if (!device) return std::move(device).error();
    info_.name = device->info().card;
    if (auto now = device->format(v4l2::Side::capture)) {
        info_.width = now->width;
        info_.height = now->height;
    }
    if (stage_.options.size) {
        info_.width = stage_.options.size->width;
        info_.height = stage_.options.size->height;
    }
    device_ = *std::move(device);
    return {};
}

Result<void> CameraShow::open(const Window& window) {
    v4l2::CameraOptions options;
    options.width = info_.width;
    options.height = info_.height;
    for (const auto format : screen_formats)
        if (window.takes(format)) options.formats.push_back(format);
    if (options.formats.empty())
        return share::make_error(Code::unsupported, "showing the camera " + device_->info().path,
                                 "this display takes none of its formats without a copy; use Wayland");
    if (stage_.options.heap == "driver")
        options.memory = v4l2::FrameMemory::drivers;
    else
        options.heap = stage_.options.heap;
    auto camera = v4l2::Camera::open(*std::exchange(device_, std::nullopt), stage_.heaps, options);
    if (!camera) return std::move(camera).error();
    camera_ = *std::move(camera);
    for (const auto& note : camera_->notes())
        stage_.ledger.note(note.about, note.text);
    const auto& layout = camera_->layout();
    stage_.ledger.note("camera", fmt::format("{} ({}) captures {}x{} {} into {} memory", camera_->info().card,
                                             camera_->info().path, layout.width(), layout.height(),
                                             share::fourcc_text(layout.format()), camera_->memory()));
    return camera_->start();
}

Result<std::optional<v4l2::Frame>> CameraShow::next(Window& window) {
    const auto limit = Deadline::in(patience);
    while (!stopping(window)) {
        auto frame = camera_->next(Deadline::none());
        if (frame) return std::optional(*std::move(frame));
        // Busy: the display has all buffers. It gives one back, or the limit passes.
        const auto why = frame.error().code;
        if ((why != Code::timed_out && why != Code::busy) || limit.passed()) return std::move(frame).error();
        std::vector<int> wake{stop_.fd()};
        if (camera_->queued() > 0) wake.push_back(camera_->fd());
        if (auto served = window.serve(Deadline::in(slice), wake); !served) return std::move(served).error();
    }
    return std::optional<v4l2::Frame>();
}

Result<void> CameraShow::present(Window& window, const v4l2::Frame& frame) {
    share::FrameRecord record;
    record.stream = info_.name;
    record.steps.push_back(frame.step());
    if (auto sent = window.present(frame.buffer(), std::move(record), Deadline::in(patience)); !sent)
        return sent;
    ++shown_;
    if (stage_.options.explain == Explain::json) {
        fmt::print("{}\n", stage_.ledger.json(stage_.ledger.frames().back()));
        std::fflush(stdout); // who reads along shall see the frame when it goes out
    }
    return {};
}

Result<void> CameraShow::wait_last_shown(Window& window) {
    const auto limit = Deadline::in(patience);
    for (;;) {
        auto shown = window.wait_shown(Deadline::in(slice));
        // The next frame came before the display had shown this one: nothing is wrong with that.
        if (shown || shown.error().code == Code::unavailable) return {};
        if (shown.error().code != Code::timed_out || limit.passed()) return shown;
        if (stopping(window)) return {};
    }
}

Result<bool> CameraShow::run(Window& window) {
    if (auto opened = open(window); !opened) return std::move(opened).error();
    const std::uint64_t end = stage_.options.once ? 1 : stage_.options.frames;
    while (end == 0 || shown_ < end) {
        auto frame = next(window);
        if (!frame) return std::move(frame).error();
        if (!*frame) break;
        if ((*frame)->corrupt()) continue; // half a picture is none
        if (auto sent = present(window, **frame); !sent) return std::move(sent).error();
    }
    const auto& totals = camera_->totals();
    stage_.ledger.note("camera",
                       fmt::format("{} frames, {} lost before they reached us, {} damaged and not shown",
                                   totals.frames, totals.lost, totals.corrupt));
    if (end != 0 && shown_ == end)
        if (auto shown = wait_last_shown(window); !shown) return std::move(shown).error();
    return shown_ > 0 || stopping(window);
}

} // namespace producer
