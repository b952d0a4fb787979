// SPDX-License-Identifier: MIT
// Binds what a Display needs of the compositor and collects what it offers for buffers.
#include "display_impl.hpp"
#include "feedback.hpp"

#include <fmt/format.h>

namespace share::wayland_client {

namespace {

const wl_shm_listener shm_listener = {
    .format =
        [](void* data, wl_shm*, std::uint32_t code) noexcept {
            auto& formats = static_cast<Display::Impl*>(data)->shm_offer.formats;
            if (code == WL_SHM_FORMAT_ARGB8888)
                formats.insert(format::argb8888);
            else if (code == WL_SHM_FORMAT_XRGB8888)
                formats.insert(format::xrgb8888);
            else
                formats.insert(code);
        },
};

const zwp_linux_dmabuf_v1_listener dmabuf_listener = {
    .format =
        [](void* data, zwp_linux_dmabuf_v1*, std::uint32_t format) noexcept {
            static_cast<OldFormats*>(data)->implicit.push_back({format, modifier::none});
        },
    .modifier =
        [](void* data, zwp_linux_dmabuf_v1*, std::uint32_t format, std::uint32_t high,
           std::uint32_t low) noexcept {
            static_cast<OldFormats*>(data)->pairs.push_back({format, (std::uint64_t{high} << 32) | low});
        },
};

const wp_presentation_listener presentation_listener = {
    .clock_id = [](void* data, wp_presentation*,
                   std::uint32_t clock) noexcept { static_cast<Display::Impl*>(data)->clock_id = clock; },
};

} // namespace

Result<void> collect_offers(Display& display, Deadline deadline) {
    auto& impl = display.impl();
    impl.shm.reset(static_cast<wl_shm*>(display.bind(&wl_shm_interface, 2)));
    if (impl.shm) wl_shm_add_listener(impl.shm.get(), &shm_listener, &impl);
    impl.presentation.reset(static_cast<wp_presentation*>(display.bind(&wp_presentation_interface, 2)));
    if (impl.presentation)
        wp_presentation_add_listener(impl.presentation.get(), &presentation_listener, &impl);

    auto& old = impl.old_formats;
    std::unique_ptr<FeedbackCollector> feedback;
    impl.dmabuf.reset(static_cast<zwp_linux_dmabuf_v1*>(display.bind(&zwp_linux_dmabuf_v1_interface, 5)));
    std::uint32_t version = 0;
    if (impl.dmabuf) {
        version = zwp_linux_dmabuf_v1_get_version(impl.dmabuf.get());
        zwp_linux_dmabuf_v1_add_listener(impl.dmabuf.get(), &dmabuf_listener, &old);
        if (version >= ZWP_LINUX_DMABUF_V1_GET_DEFAULT_FEEDBACK_SINCE_VERSION)
            feedback = std::make_unique<FeedbackCollector>(
                zwp_linux_dmabuf_v1_get_default_feedback(impl.dmabuf.get()));
    }
    if (auto told = display.sync(deadline); !told) return told;

    if (!impl.dmabuf) {
        impl.dmabuf_reason = "the compositor has no linux-dmabuf";
    } else if (!feedback) {
        impl.dmabuf_offer = DmabufOffer{version, std::nullopt, {Tranche{}}};
        impl.dmabuf_offer->tranches[0].formats = std::move(version >= 3 ? old.pairs : old.implicit);
    } else if (feedback->offer() && feedback->fault().empty()) {
        impl.dmabuf_offer = feedback->offer();
    } else {
        impl.dmabuf_reason =
            feedback->fault().empty() ? "the compositor gave no linux-dmabuf feedback" : feedback->fault();
    }
    return {};
}

} // namespace share::wayland_client
