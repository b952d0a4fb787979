// SPDX-License-Identifier: MIT
#include "wayland/callback.hpp"

#include <iterator>

#include "wayland/output.hpp"

namespace compositor::wayland {

const Callback::Requests Callback::requests{};
const Feedback::Requests Feedback::requests{};

void Callback::done(std::uint32_t milliseconds) {
    wl_callback_send_done(resource(), milliseconds);
    destroy();
}

void Feedback::presented(const Output& output, const Shown& shown) {
    output.for_each_resource_of(client(), [&](wl_resource* of_client) {
        wp_presentation_feedback_send_sync_output(resource(), of_client);
    });
    const auto seconds = static_cast<std::uint64_t>(shown.when.tv_sec);
    // A rate of 0 is the protocol's word for "no constant refresh"; below version 2 it is just a prediction.
    wp_presentation_feedback_send_presented(
        resource(), static_cast<std::uint32_t>(seconds >> 32), static_cast<std::uint32_t>(seconds),
        static_cast<std::uint32_t>(shown.when.tv_nsec), shown.refresh_ns,
        static_cast<std::uint32_t>(shown.sequence >> 32), static_cast<std::uint32_t>(shown.sequence),
        shown.zero_copy ? std::uint32_t{WP_PRESENTATION_FEEDBACK_KIND_ZERO_COPY} : 0U);
    destroy();
}

void Feedback::discarded() {
    wp_presentation_feedback_send_discarded(resource());
    destroy();
}

Callbacks& Callbacks::operator=(Callbacks&& other) noexcept {
    std::swap(list_, other.list_);
    return *this;
}

Callbacks::~Callbacks() {
    for (auto& callback : list_)
        if (callback) callback->destroy();
}

void Callbacks::add(Callback* callback) {
    if (callback) list_.emplace_back(callback);
}

void Callbacks::append(Callbacks&& other) {
    list_.insert(list_.end(), std::make_move_iterator(other.list_.begin()),
                 std::make_move_iterator(other.list_.end()));
    other.list_.clear();
}

void Callbacks::done(std::uint32_t milliseconds) {
    for (auto& callback : std::exchange(list_, {}))
        if (callback) callback->done(milliseconds);
}

void Callbacks::done_oldest(std::size_t keep, std::uint32_t milliseconds) {
    if (list_.size() <= keep) return;
    std::vector<Weak<Callback>> all = std::exchange(list_, {});
    const auto first_kept = all.end() - static_cast<std::ptrdiff_t>(keep);
    list_.assign(std::make_move_iterator(first_kept), std::make_move_iterator(all.end()));
    all.erase(first_kept, all.end());
    for (auto& callback : all)
        if (callback) callback->done(milliseconds);
}

Feedbacks& Feedbacks::operator=(Feedbacks&& other) noexcept {
    std::swap(list_, other.list_);
    return *this;
}

Feedbacks::~Feedbacks() {
    discard();
}

void Feedbacks::add(Feedback* feedback) {
    if (feedback) list_.emplace_back(feedback);
}

void Feedbacks::append(Feedbacks&& other) {
    list_.insert(list_.end(), std::make_move_iterator(other.list_.begin()),
                 std::make_move_iterator(other.list_.end()));
    other.list_.clear();
}

void Feedbacks::presented(const Output& output, const Shown& shown) {
    for (auto& feedback : std::exchange(list_, {}))
        if (feedback) feedback->presented(output, shown);
}

void Feedbacks::discard() {
    for (auto& feedback : std::exchange(list_, {}))
        if (feedback) feedback->discarded();
}

} // namespace compositor::wayland
