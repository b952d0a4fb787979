// SPDX-License-Identifier: MIT
// PictureWindow: an X window with a swapchain of the size of the picture in it, centred.
//
// Owner: show(). Thread: one. Every wait is cut into slices, so that a signal or a closed window ends it.
#pragma once

#include <memory>
#include <optional>

#include <share/heap.hpp>
#include <share/ledger.hpp>
#include <share/swapchain.hpp>
#include <share/x11/swapchain.hpp>
#include <share/x11/window.hpp>

#include "../options.hpp"

namespace bridge {

class PictureWindow {
public:
    static share::Result<std::unique_ptr<PictureWindow>>
    open(const Options& options, const share::SourceInfo& first, share::Ledger& ledger);

    /// Decodes one frame into a free buffer and shows it.
    share::Result<void> show(share::Source& source);
    /// Answers events until `until`, or until it should end.
    share::Result<void> serve(share::Deadline until);
    share::Result<void> wait_paced();
    share::Result<void> wait_shown();
    /// The user or a signal wants the program to end; nothing is an error then.
    bool ended() const noexcept;

private:
    PictureWindow(const Options& options, share::Ledger& ledger) : options_(options), ledger_(ledger) {}
    share::Result<void> fit(const share::SourceInfo& info);
    share::Result<void> after_events();
    void place();
    template<class F>
    auto patiently(F wait) -> decltype(wait(share::Deadline::none()));

    const Options& options_;
    share::Ledger& ledger_;
    share::HeapTable heaps_ = share::HeapTable::probe();
    std::shared_ptr<share::x11::Connection> connection_;
    std::unique_ptr<share::x11::Window> window_;
    std::unique_ptr<share::x11::X11Swapchain> swapchain_;
    std::uint64_t frames_ = 0;
    std::vector<share::Fourcc> formats_; ///< offered when the swapchain was made
};

} // namespace bridge
