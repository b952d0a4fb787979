// SPDX-License-Identifier: MIT
#include <sys/types.h>

#include "dmabuf_state.hpp"

namespace share::wayland_server {

namespace {

/// A wl_array over memory that somebody else owns: libwayland only reads it.
template<class T>
wl_array borrow(std::span<T> items) {
    return {items.size_bytes(), 0, items.data()};
}

/// Indices in one event: libwayland's messages have a limit (4 KiB in old clients).
constexpr std::size_t indices_per_event = 1024;

} // namespace

const DmabufFeedback::Requests DmabufFeedback::requests{{.destroy = request<&DmabufFeedback::destroy>}};

DmabufFeedback::DmabufFeedback(NewResource resource, DmabufStatePtr state, wl_resource* surface,
                               Charge charge)
    : Resource(resource), state_(std::move(state)), surface_(surface), charge_(std::move(charge)) {
    watch_.watch(surface);
}

void DmabufFeedback::send_tranche(const DmabufPolicy::Tranche& tranche) {
    dev_t device = tranche.device;
    wl_array target = borrow(std::span(&device, 1));
    zwp_linux_dmabuf_feedback_v1_send_tranche_target_device(resource(), &target);
    zwp_linux_dmabuf_feedback_v1_send_tranche_flags(
        resource(), tranche.scanout ? ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_FLAGS_SCANOUT : 0);
    std::vector<std::uint16_t> indices;
    for (const auto& pair : tranche.formats)
        if (const auto index = state_->table->index(pair)) indices.push_back(*index);
    std::span rest(indices);
    while (!rest.empty()) {
        wl_array part = borrow(rest.first(std::min(rest.size(), indices_per_event)));
        zwp_linux_dmabuf_feedback_v1_send_tranche_formats(resource(), &part);
        rest = rest.subspan(std::min(rest.size(), indices_per_event));
    }
    zwp_linux_dmabuf_feedback_v1_send_tranche_done(resource());
}

void DmabufFeedback::send() {
    if (inert_ || !state_->policy) return;
    zwp_linux_dmabuf_feedback_v1_send_format_table(resource(), state_->table->fd(), state_->table->bytes());
    dev_t device = state_->policy->main_device();
    wl_array main = borrow(std::span(&device, 1));
    zwp_linux_dmabuf_feedback_v1_send_main_device(resource(), &main);
    for (const auto& tranche : state_->policy->tranches(surface_))
        send_tranche(tranche);
    zwp_linux_dmabuf_feedback_v1_send_done(resource());
}

} // namespace share::wayland_server
