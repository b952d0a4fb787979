// SPDX-License-Identifier: MIT
// FeedbackCollector: turns the events of one zwp_linux_dmabuf_feedback_v1 into a DmabufOffer.
//
// Owns the protocol object. A batch of events counts only when `done` came; what a batch got wrong is its
// error, and the offer before it stays. Thread: that of the object's queue. Source: linux-dmabuf-v1.
#pragma once

#include <optional>
#include <string>

#include "format_table.hpp"
#include "proxy.hpp"

namespace share::wayland_client {

class FeedbackCollector {
public:
    explicit FeedbackCollector(zwp_linux_dmabuf_feedback_v1* object);
    FeedbackCollector(const FeedbackCollector&) = delete;
    FeedbackCollector& operator=(const FeedbackCollector&) = delete;

    /// True once a batch was finished, good or bad.
    bool done() const noexcept { return done_; }
    const std::optional<DmabufOffer>& offer() const noexcept { return offer_; }
    /// What was wrong with the last batch; empty when nothing was.
    const std::string& fault() const noexcept { return fault_; }

private:
    static const zwp_linux_dmabuf_feedback_v1_listener listener;
    void format_table(UniqueFd fd, std::uint32_t size);
    std::optional<dev_t> device(const wl_array& bytes);
    void tranche_formats(const wl_array& indices);
    void finish_batch();
    void blame(std::string what);

    Proxy<zwp_linux_dmabuf_feedback_v1> object_;
    std::vector<FormatModifier> table_; ///< stays valid until the next format_table event
    DmabufOffer pending_;
    Tranche tranche_;
    std::string pending_fault_;
    bool done_ = false;
    std::optional<DmabufOffer> offer_;
    std::string fault_;
};

} // namespace share::wayland_client
