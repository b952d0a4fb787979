// SPDX-License-Identifier: MIT
#include "feedback.hpp"

#include <cstring>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace share::wayland_client {

const zwp_linux_dmabuf_feedback_v1_listener FeedbackCollector::listener = {
    .done =
        [](void* self, zwp_linux_dmabuf_feedback_v1*) noexcept {
            static_cast<FeedbackCollector*>(self)->finish_batch();
        },
    .format_table =
        [](void* self, zwp_linux_dmabuf_feedback_v1*, int fd, std::uint32_t size) noexcept {
            static_cast<FeedbackCollector*>(self)->format_table(UniqueFd(fd), size);
        },
    .main_device =
        [](void* self, zwp_linux_dmabuf_feedback_v1*, wl_array* bytes) noexcept {
            auto& me = *static_cast<FeedbackCollector*>(self);
            me.pending_.main_device = me.device(*bytes);
        },
    .tranche_done =
        [](void* self, zwp_linux_dmabuf_feedback_v1*) noexcept {
            auto& me = *static_cast<FeedbackCollector*>(self);
            me.pending_.tranches.push_back(std::exchange(me.tranche_, Tranche{}));
        },
    .tranche_target_device =
        [](void* self, zwp_linux_dmabuf_feedback_v1*, wl_array* bytes) noexcept {
            auto& me = *static_cast<FeedbackCollector*>(self);
            me.tranche_.target_device = me.device(*bytes);
        },
    .tranche_formats =
        [](void* self, zwp_linux_dmabuf_feedback_v1*, wl_array* indices) noexcept {
            static_cast<FeedbackCollector*>(self)->tranche_formats(*indices);
        },
    .tranche_flags =
        [](void* self, zwp_linux_dmabuf_feedback_v1*, std::uint32_t flags) noexcept {
            static_cast<FeedbackCollector*>(self)->tranche_.scanout =
                (flags & ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_FLAGS_SCANOUT) != 0;
        },
};

FeedbackCollector::FeedbackCollector(zwp_linux_dmabuf_feedback_v1* object) : object_(object) {
    pending_.version = zwp_linux_dmabuf_feedback_v1_get_version(object);
    zwp_linux_dmabuf_feedback_v1_add_listener(object, &listener, this);
}

void FeedbackCollector::blame(std::string what) {
    if (pending_fault_.empty()) pending_fault_ = std::move(what);
}

void FeedbackCollector::format_table(UniqueFd fd, std::uint32_t size) {
    auto table = read_format_table(std::move(fd), size);
    table_.clear();
    if (table)
        table_ = std::move(*table);
    else
        blame(table.error().text());
}

std::optional<dev_t> FeedbackCollector::device(const wl_array& bytes) {
    dev_t device = 0;
    if (bytes.size != sizeof device) {
        blame(fmt::format("the compositor named a device by {} bytes instead of {}", bytes.size,
                          sizeof device));
        return std::nullopt;
    }
    std::memcpy(&device, bytes.data, sizeof device);
    return device;
}

void FeedbackCollector::tranche_formats(const wl_array& indices) {
    const std::span<const std::uint16_t> numbers(static_cast<const std::uint16_t*>(indices.data),
                                                 indices.size / sizeof(std::uint16_t));
    for (const auto number : numbers) {
        if (number >= table_.size()) {
            blame(fmt::format("the compositor's feedback names entry {} of a format table of {} entries",
                              number, table_.size()));
            return;
        }
        tranche_.formats.push_back(table_[number]);
    }
}

void FeedbackCollector::finish_batch() {
    done_ = true;
    fault_ = std::exchange(pending_fault_, {});
    const auto version = pending_.version;
    auto batch = std::exchange(pending_, DmabufOffer{});
    pending_.version = version;
    tranche_ = Tranche{};
    if (fault_.empty()) offer_ = std::move(batch);
}

} // namespace share::wayland_client
