// SPDX-License-Identifier: MIT
// The client's side of the tests: a Display and a surface on a FakeCompositor, and frames written into it.
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <wayland-client.h>

#include <share/wayland_client/swapchain.hpp>

#include "fake_compositor.hpp"

namespace testing {

using share::Deadline;
using namespace std::chrono_literals;
namespace wl = share::wayland_client;

/// Long enough for a busy machine; nothing waits for it unless something is wrong.
inline Deadline soon() {
    return Deadline::in(10s);
}

struct Client {
    explicit Client(FakeCompositor& server, std::uint32_t surface_version = 6) : native(server.connect()) {
        auto wrapped = wl::Display::wrap(native, soon());
        if (!wrapped) FAIL(wrapped.error().text());
        display = *std::move(wrapped);
        compositor = static_cast<wl_compositor*>(display->bind(&wl_compositor_interface, surface_version));
        surface = wl_compositor_create_surface(compositor);
    }
    ~Client() {
        chain.reset();
        wl_surface_destroy(surface);
        wl_compositor_destroy(compositor);
        display.reset();
        wl_display_disconnect(native);
    }

    share::Result<void> make_chain(wl::SwapchainOptions options = {}, Deadline deadline = soon()) {
        if (options.width == 0) options.width = 64, options.height = 32;
        if (options.formats.empty()) options.formats = {share::format::xrgb8888, share::format::argb8888};
        auto made = wl::WaylandSwapchain::create(*display, surface, heaps, ledger, options, deadline);
        if (!made) return std::move(made).error();
        chain = *std::move(made);
        return {};
    }
    /// Acquires, writes every byte, presents.
    share::Result<void> frame(Deadline deadline = soon()) {
        auto image = chain->acquire(deadline);
        if (!image) return std::move(image).error();
        last_slot = image->slot;
        {
            auto mapping = image->buffer->map(share::Access::write, deadline);
            if (!mapping) return std::move(mapping).error();
            const auto bytes = mapping->plane(0);
            std::memset(bytes.data(), 0x5a, bytes.size());
        }
        return chain->present(*std::move(image), {}, {});
    }
    std::string note(const std::string& about) const {
        for (const auto& entry : ledger.notes())
            if (entry.about == about) return entry.text;
        return {};
    }

    wl_display* native;
    share::HeapTable heaps = share::HeapTable::probe();
    share::Ledger ledger{"test"};
    std::unique_ptr<wl::Display> display;
    wl_compositor* compositor;
    wl_surface* surface;
    std::unique_ptr<wl::WaylandSwapchain> chain;
    std::uint32_t last_slot = 0;
};

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

inline FakeRules with_dmabuf(std::uint32_t version, std::uint64_t modifier = share::modifier::linear) {
    FakeRules rules;
    rules.dmabuf_version = version;
    rules.dmabuf_formats = {{share::format::xrgb8888, modifier}, {share::format::argb8888, modifier}};
    return rules;
}

} // namespace testing
