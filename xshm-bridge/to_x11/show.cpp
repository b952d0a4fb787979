// SPDX-License-Identifier: MIT
#include "show.hpp"

#include <cstdio>

#include <fmt/format.h>

#include <share/media/image.hpp>

#include "picture_window.hpp"

namespace bridge {

using namespace std::chrono_literals;
using share::Deadline;
using share::Result;

namespace {

/// The files in turn. One that stays the same is opened once and decoded again for each frame.
class Pictures {
public:
    explicit Pictures(const std::vector<std::string>& files) : files_(files) {}
    Result<share::Source*> at(std::uint64_t frame) {
        const auto index = static_cast<std::size_t>(frame % files_.size());
        if (!source_ || index != index_) {
            auto opened = share::media::open_image(files_[index]);
            if (!opened) return std::move(opened).error();
            source_ = std::move(*opened);
            index_ = index;
        }
        return source_.get();
    }

private:
    const std::vector<std::string>& files_;
    std::unique_ptr<share::Source> source_;
    std::size_t index_ = 0;
};

Result<void> pause(PictureWindow& window, const Options& options) {
    const bool endless = !options.frames && !options.interval && options.files.size() == 1;
    const auto interval = options.interval.value_or(options.frames ? 0ns : 3s);
    if (endless) return window.serve(Deadline(Deadline::Clock::time_point::max()));
    if (interval > 0ns) return window.serve(Deadline(Deadline::Clock::now() + interval));
    return window.wait_paced();
}

Result<void> run(const Options& options, share::Ledger& ledger) {
    Pictures pictures(options.files);
    auto source = pictures.at(0);
    if (!source) return std::move(source).error();
    auto window = PictureWindow::open(options, (*source)->info(), ledger);
    if (!window) return std::move(window).error();
    auto& w = **window;
    const auto last = options.once ? 1 : options.frames.value_or(UINT64_MAX);
    for (std::uint64_t frame = 0; !w.ended();) {
        source = pictures.at(frame);
        if (!source) return std::move(source).error();
        auto shown = w.show(**source);
        if (shown) {
            if (options.explain == Explain::json) fmt::print("{}\n", ledger.json(ledger.frames().back()));
            if (++frame == last) return w.wait_shown();
            shown = pause(w, options);
        }
        // What a window that is being closed refuses is not an error.
        if (!shown) return w.ended() ? Result<void>() : shown;
    }
    return {};
}

} // namespace

Result<void> show(const Options& options) {
    share::Ledger ledger("xshm-bridge");
    auto result = run(options, ledger);
    if (options.explain == Explain::table) fmt::print("{}", ledger.table());
    if (options.explain == Explain::json) fmt::print("{}\n", ledger.json_summary());
    std::fflush(stdout);
    return result;
}

} // namespace bridge
