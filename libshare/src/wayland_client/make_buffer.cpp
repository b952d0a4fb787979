// SPDX-License-Identifier: MIT
// Making wl_buffers: by linux-dmabuf's create, which may be refused, or in a wl_shm pool.
#include "path.hpp"

#include <limits>

#include <fmt/format.h>

namespace share::wayland_client {

namespace {

/// The compositor's answer to zwp_linux_buffer_params_v1.create.
struct Answer {
    bool done = false;
    Proxy<wl_buffer> buffer;
};

const zwp_linux_buffer_params_v1_listener params_listener = {
    .created =
        [](void* data, zwp_linux_buffer_params_v1*, wl_buffer* buffer) noexcept {
            auto& answer = *static_cast<Answer*>(data);
            answer.done = true;
            answer.buffer.reset(buffer);
        },
    .failed = [](void* data,
                 zwp_linux_buffer_params_v1*) noexcept { static_cast<Answer*>(data)->done = true; },
};

struct PlaneFd {
    int fd = -1;
    std::uint64_t base = 0; ///< where the layout's range starts in that fd
};

std::string describe(const Layout& layout, std::uint64_t modifier) {
    return fmt::format("{}x{} {} {}", layout.width(), layout.height(), fourcc_text(layout.format()),
                       modifier == modifier::none ? "without modifier" : modifier_text(modifier));
}

template<class FdOfPlane>
Result<Proxy<wl_buffer>> create_dmabuf(Display& display, const Layout& layout, std::uint64_t modifier,
                                       FdOfPlane fd_of_plane, Deadline deadline) {
    const auto operation = [&] {
        return "asking the compositor for a dma-buf wl_buffer, " + describe(layout, modifier);
    };
    if (auto gone = display.error()) return *std::move(gone);
    // The listener's data goes before the object, whose late answer nobody then hears.
    Answer answer;
    const Proxy<zwp_linux_buffer_params_v1> params(
        zwp_linux_dmabuf_v1_create_params(display.impl().dmabuf.get()));
    if (!params) return make_error(Code::out_of_memory, operation(), "out of memory");
    zwp_linux_buffer_params_v1_add_listener(params.get(), &params_listener, &answer);
    for (std::size_t i = 0; i < layout.plane_count(); ++i) {
        const PlaneFd plane = fd_of_plane(i);
        const std::uint64_t offset = plane.base + layout.plane(i).offset;
        if (offset > std::numeric_limits<std::uint32_t>::max())
            return make_error(Code::limit, operation(),
                              "the plane lies beyond the 4 GiB that linux-dmabuf can name");
        zwp_linux_buffer_params_v1_add(params.get(), plane.fd, static_cast<std::uint32_t>(i),
                                       static_cast<std::uint32_t>(offset), layout.plane(i).stride,
                                       static_cast<std::uint32_t>(modifier >> 32),
                                       static_cast<std::uint32_t>(modifier));
    }
    zwp_linux_buffer_params_v1_create(params.get(), static_cast<std::int32_t>(layout.width()),
                                      static_cast<std::int32_t>(layout.height()), layout.format(), 0);
    if (auto told = display.wait_until([&] { return answer.done; }, deadline); !told)
        return std::move(told).error();
    if (!answer.buffer) return make_error(Code::unsupported, operation(), "the compositor refused it");
    return std::move(answer.buffer);
}

Result<std::unique_ptr<HeldBuffer>> from_dmabuf(Display& display, const std::shared_ptr<Buffer>& buffer,
                                                std::uint64_t modifier, Deadline deadline) {
    auto handle = buffer->export_dmabuf();
    if (!handle) return std::move(handle).error();
    auto object = create_dmabuf(
        display, handle->layout, modifier, [&](std::size_t i) { return PlaneFd{handle->fd(i), 0}; },
        deadline);
    if (!object) return std::move(object).error();
    return std::make_unique<HeldBuffer>(*std::move(object), buffer, *std::move(handle));
}

Result<std::unique_ptr<HeldBuffer>> from_memfd(Display& display, const std::shared_ptr<Buffer>& buffer,
                                               std::uint64_t modifier, Deadline deadline) {
    auto handle = buffer->export_memfd();
    if (!handle) return std::move(handle).error();
    auto object = create_dmabuf(
        display, handle->layout, modifier,
        [&](std::size_t) { return PlaneFd{handle->fd.get(), handle->offset}; }, deadline);
    if (!object) return std::move(object).error();
    return std::make_unique<HeldBuffer>(*std::move(object), buffer, DmabufHandle{buffer->layout(), {}});
}

std::uint32_t shm_code(Fourcc format) {
    if (format == format::argb8888) return WL_SHM_FORMAT_ARGB8888;
    if (format == format::xrgb8888) return WL_SHM_FORMAT_XRGB8888;
    return format;
}

Result<std::unique_ptr<HeldBuffer>> from_shm(Display& display, const std::shared_ptr<Buffer>& buffer,
                                             Proxy<wl_shm_pool>& pool) {
    auto handle = buffer->export_memfd();
    if (!handle) return std::move(handle).error();
    const auto& layout = buffer->layout();
    const char* const operation = "making a wl_shm wl_buffer";
    constexpr auto reach = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
    if (handle->file_size > reach)
        return make_error(Code::limit, operation, "the memory is larger than 2 GiB");
    if (auto gone = display.error()) return *std::move(gone);
    if (!pool)
        pool.reset(wl_shm_create_pool(display.impl().shm.get(), handle->fd.get(),
                                      static_cast<std::int32_t>(handle->file_size)));
    if (!pool) return make_error(Code::out_of_memory, operation, "out of memory");
    Proxy<wl_buffer> object(wl_shm_pool_create_buffer(
        pool.get(), static_cast<std::int32_t>(handle->offset + layout.plane(0).offset),
        static_cast<std::int32_t>(layout.width()), static_cast<std::int32_t>(layout.height()),
        static_cast<std::int32_t>(layout.plane(0).stride), shm_code(layout.format())));
    if (!object) return make_error(Code::out_of_memory, operation, "out of memory");
    return std::make_unique<HeldBuffer>(std::move(object), buffer, DmabufHandle{layout, {}});
}

} // namespace

Result<std::unique_ptr<HeldBuffer>> make_wl_buffer(Display& display, const std::shared_ptr<Buffer>& buffer,
                                                   Mechanism mechanism, std::uint64_t modifier,
                                                   Proxy<wl_shm_pool>& shm_pool, Deadline deadline) {
    switch (mechanism) {
    case Mechanism::memfd:
        return from_memfd(display, buffer, modifier, deadline);
    case Mechanism::wl_shm:
        return from_shm(display, buffer, shm_pool);
    default:
        return from_dmabuf(display, buffer, modifier, deadline);
    }
}

Result<std::unique_ptr<HeldBuffer>> make_wl_buffer(Display& display, Path& path, std::uint32_t slot,
                                                   Deadline deadline) {
    return make_wl_buffer(display, path.pool.buffer(slot), path.mechanism, path.modifier, path.shm_pool,
                          deadline);
}

} // namespace share::wayland_client
