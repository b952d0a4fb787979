// SPDX-License-Identifier: MIT
#include "show.hpp"

#include <array>
#include <cstdio>

#include <fmt/format.h>

#include <share/media/image.hpp>

namespace producer {

using share::Code;
using share::Deadline;
using share::Result;

namespace {

using namespace std::chrono_literals;
/// A display that makes no progress for so long is given up.
constexpr auto patience = 10s;
/// A hidden window is not asked for frames; it still gets one now and then.
constexpr auto hidden_pace = 1s;
/// How long a wait inside a swapchain may keep us from seeing a signal or a closed window.
constexpr auto slice = 100ms;
constexpr auto default_interval = 3s;

} // namespace

Show::Show(const Stage& stage, StopSignal& stop)
    : stage_(stage), stop_(stop), sources_(stage.options.files.size()), reported_(sources_.size()) {}

void Show::report(const share::Error& error) {
    if (!reported_[at_]) fmt::print(stderr, "share-producer: {}\n", error.text());
    reported_[at_] = true; // a show that goes round says it once
}

bool Show::stopping(const Window& window) {
    return stop_.requested() || window.closed();
}

bool Show::at_end() const noexcept {
    const auto& options = stage_.options;
    return (options.once && shown_ >= 1) || (options.frames > 0 && shown_ >= options.frames);
}

share::Source* Show::open_current() {
    auto& source = sources_[at_];
    if (source) return source.get();
    auto opened = share::media::open_image(stage_.options.files[at_]);
    if (!opened) {
        report(opened.error());
        return nullptr;
    }
    source = *std::move(opened);
    return source.get();
}

const share::SourceInfo* Show::first_picture() {
    for (at_ = 0; at_ < sources_.size(); ++at_)
        if (const auto* source = open_current()) return &source->info();
    return nullptr;
}

Result<share::Swapchain::Image> Show::acquire(Window& window, share::Swapchain& swapchain) {
    const auto limit = Deadline::in(patience);
    for (;;) {
        auto image = swapchain.acquire(Deadline::in(slice));
        if (image || image.error().code != Code::timed_out || limit.passed()) return image;
        if (stopping(window)) return image;
    }
}

Result<Show::Presented> Show::present_next(Window& window) {
    auto* const source = open_current();
    if (!source) return Presented::bad_file;
    auto swapchain = window.swapchain_for(source->info(), Deadline::in(patience));
    if (!swapchain) return std::move(swapchain).error();
    last_ = *swapchain;
    auto image = acquire(window, **swapchain);
    if (!image) {
        if (stopping(window)) return Presented::stopped;
        return std::move(image).error();
    }
    share::FrameRecord record;
    record.stream = stage_.options.files[at_];
    auto mapping = image->buffer->map(share::Access::write, Deadline::in(patience));
    if (!mapping) return std::move(mapping).error();
    auto read = source->read(*mapping, record);
    auto ended = mapping->end();
    if (!read) {
        report(read.error());
        (*swapchain)->discard(*std::move(image));
        return Presented::bad_file;
    }
    if (!ended) return std::move(ended).error();
    if (auto placed = window.prepare_present(); !placed) return std::move(placed).error();
    if (auto sent = (*swapchain)->present(*std::move(image), {}, std::move(record)); !sent)
        return std::move(sent).error();
    if (stage_.options.explain == Explain::json) {
        fmt::print("{}\n", stage_.ledger.json(stage_.ledger.frames().back()));
        std::fflush(stdout); // who reads along shall see the frame when it goes out
    }
    return Presented::yes;
}

Result<void> Show::wait_for_display(Window& window, share::Swapchain& swapchain) {
    const auto limit = Deadline::in(hidden_pace);
    for (;;) {
        auto wanted = swapchain.wait_paced(Deadline::in(slice));
        if (wanted || wanted.error().code != Code::timed_out) return wanted;
        if (limit.passed() || stopping(window)) return {};
    }
}

Result<void> Show::wait_last_shown(Window& window, share::Swapchain& swapchain) {
    const auto limit = Deadline::in(patience);
    for (;;) {
        auto shown = swapchain.wait_shown(Deadline::in(slice));
        if (shown || shown.error().code != Code::timed_out || limit.passed()) return shown;
        if (stopping(window)) return {};
    }
}

Result<void> Show::pause(Window& window, share::Swapchain& swapchain) {
    const auto& options = stage_.options;
    const bool for_ever = options.frames == 0 && options.files.size() == 1 && !options.interval;
    const auto interval = options.interval.value_or(options.frames > 0 ? 0s : default_interval);
    if (!for_ever && interval == 0ms) return wait_for_display(window, swapchain);
    auto until = Deadline::in(interval);
    const std::array wake{stop_.fd()};
    while (!stopping(window)) {
        if (for_ever)
            until = Deadline::in(patience);
        else if (until.passed())
            break;
        if (auto served = window.serve(until, wake); !served) return served;
    }
    return {};
}

Result<bool> Show::run(Window& window) {
    std::size_t bad_in_a_row = 0;
    while (!stopping(window)) {
        auto presented = present_next(window);
        if (!presented) return std::move(presented).error();
        if (*presented == Presented::stopped) break;
        const bool bad = *presented == Presented::bad_file;
        bad_in_a_row = bad ? bad_in_a_row + 1 : 0;
        shown_ += bad ? 0 : 1;
        if (bad_in_a_row == sources_.size()) break;
        // A show of frames decodes the same files again and again; a viewer reads what is on the disk now.
        if (stage_.options.frames == 0) sources_[at_].reset();
        at_ = (at_ + 1) % sources_.size();
        if (bad) continue;
        if (at_end()) {
            if (auto shown = wait_last_shown(window, *last_); !shown) return std::move(shown).error();
            break;
        }
        if (auto waited = pause(window, *last_); !waited) return std::move(waited).error();
    }
    return shown_ > 0 || stopping(window);
}

} // namespace producer
