// SPDX-License-Identifier: MIT
#include "display_impl.hpp"

#include <poll.h>

#include <cerrno>

#include <fmt/format.h>

namespace share::wayland_client {

namespace {

const char* const waiting = "waiting for the Wayland compositor";

Error connection_error(wl_display* display) {
    const int why = wl_display_get_error(display);
    if (why != EPROTO)
        return Error{Code::disconnected, why, "talking to the Wayland compositor",
                     "the connection is gone: the compositor ended or dropped us"};
    const wl_interface* interface = nullptr;
    std::uint32_t id = 0;
    const std::uint32_t code = wl_display_get_protocol_error(display, &interface, &id);
    return make_error(Code::disconnected, "talking to the Wayland compositor",
                      fmt::format("it ended the connection with protocol error {} on {}@{}", code,
                                  interface ? interface->name : "an unknown object", id));
}

const wl_registry_listener registry_listener = {
    .global =
        [](void* data, wl_registry*, std::uint32_t name, const char* interface,
           std::uint32_t version) noexcept {
            static_cast<Display::Impl*>(data)->globals.push_back({name, version, interface});
        },
    .global_remove =
        [](void* data, wl_registry*, std::uint32_t name) noexcept {
            std::erase_if(static_cast<Display::Impl*>(data)->globals,
                          [name](const Global& global) { return global.name == name; });
        },
};

} // namespace

Display::Display(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Display::~Display() = default;

wl_display* Display::native() const noexcept {
    return impl_->connection.display;
}
wl_event_queue* Display::queue() const noexcept {
    return impl_->queue.get();
}
const std::vector<Global>& Display::globals() const noexcept {
    return impl_->globals;
}
const DmabufOffer* Display::dmabuf() const noexcept {
    return impl_->dmabuf_offer ? &*impl_->dmabuf_offer : nullptr;
}
const std::string& Display::dmabuf_reason() const noexcept {
    return impl_->dmabuf_reason;
}
const ShmOffer& Display::shm() const noexcept {
    return impl_->shm_offer;
}

Result<std::unique_ptr<Display>> Display::connect(Deadline deadline, std::optional<std::string_view> name) {
    auto socket = connect_socket(name, deadline);
    if (!socket) return std::move(socket).error();
    // libwayland closes the fd on failure too.
    wl_display* const display = wl_display_connect_to_fd(socket->release());
    if (!display) return error_from_errno(errno, "setting up a Wayland connection");
    return open(std::make_unique<Impl>(display, true), deadline);
}

Result<std::unique_ptr<Display>> Display::wrap(wl_display* display, Deadline deadline) {
    return open(std::make_unique<Impl>(display, false), deadline);
}

Result<std::unique_ptr<Display>> Display::open(std::unique_ptr<Impl> impl, Deadline deadline) {
    wl_display* const display = impl->connection.display;
    impl->queue.reset(wl_display_create_queue_with_name(display, "libshare"));
    if (!impl->queue) return make_error(Code::out_of_memory, "making a Wayland event queue", "out of memory");
    impl->wrapper = wrap_proxy(display, impl->queue.get());
    if (!impl->wrapper) return make_error(Code::out_of_memory, "wrapping a Wayland display", "out of memory");
    impl->registry.reset(wl_display_get_registry(impl->wrapper.get()));
    if (!impl->registry) return connection_error(display);
    wl_registry_add_listener(impl->registry.get(), &registry_listener, impl.get());
    std::unique_ptr<Display> self(new Display(std::move(impl)));
    if (auto globals = self->sync(deadline); !globals) return std::move(globals).error();
    if (auto offers = collect_offers(*self, deadline); !offers) return std::move(offers).error();
    return self;
}

void* Display::bind(const wl_interface* interface, std::uint32_t max_version) {
    for (const auto& global : impl_->globals) {
        if (global.interface != interface->name) continue;
        return wl_registry_bind(impl_->registry.get(), global.name, interface,
                                std::min(global.version, max_version));
    }
    return nullptr;
}

std::optional<Error> Display::error() const {
    if (wl_display_get_error(native()) == 0) return std::nullopt;
    return connection_error(native());
}

Result<void> Display::flush(Deadline deadline) {
    for (;;) {
        if (wl_display_flush(native()) >= 0) return {};
        // A broken pipe: the compositor's last words (its protocol error) may still wait to be read.
        if (errno == EPIPE) return dispatch(Deadline::none());
        if (errno != EAGAIN && errno != EINTR) return connection_error(native());
        pollfd room{wl_display_get_fd(native()), POLLOUT, 0};
        if (poll(&room, 1, deadline.remaining_ms()) == 0 && deadline.passed())
            return make_error(Code::timed_out, "sending to the Wayland compositor",
                              "it does not read its socket: it seems to hang");
    }
}

std::optional<Deadline> Display::next_tick() const noexcept {
    return impl_->streams.next();
}
void Display::tick(Deadline::Clock::time_point now) noexcept {
    impl_->streams.tick(now);
}

Result<void> Display::dispatch(Deadline deadline, std::span<const int> wake_fds) {
    for (;;) {
        const auto next = next_tick();
        const bool idles_first = next && next->when() < deadline.when();
        auto step = dispatch_once(idles_first ? *next : deadline, wake_fds);
        tick();
        const bool waited = !step && step.error().code == Code::timed_out;
        if (!waited || !idles_first) return step;
    }
}

Result<void> Display::dispatch_once(Deadline deadline, std::span<const int> wake_fds) {
    wl_display* const display = native();
    if (auto gone = error()) return *std::move(gone);
    if (wl_display_prepare_read_queue(display, queue()) != 0) {
        if (wl_display_dispatch_queue_pending(display, queue()) < 0) return connection_error(display);
        return {};
    }
    const bool congested = wl_display_flush(display) < 0 && errno == EAGAIN;
    std::vector<pollfd> polled{{wl_display_get_fd(display), short(congested ? POLLIN | POLLOUT : POLLIN), 0}};
    for (const int fd : wake_fds)
        polled.push_back({fd, POLLIN, 0});
    const int ready = poll(polled.data(), polled.size(), deadline.remaining_ms());
    const int why = ready < 0 ? errno : 0;
    if (ready <= 0 || (polled[0].revents & ~POLLOUT) == 0) {
        wl_display_cancel_read(display);
        if (ready > 0 || why == EINTR) return {};
        if (ready < 0) return error_from_errno(why, waiting);
        return make_error(Code::timed_out, waiting, "it sent nothing until the deadline");
    }
    if (wl_display_read_events(display) < 0 && wl_display_get_error(display) != 0)
        return connection_error(display);
    if (wl_display_dispatch_queue_pending(display, queue()) < 0) return connection_error(display);
    return {};
}

Result<void> Display::sync(Deadline deadline) {
    bool done = false;
    static const wl_callback_listener listener = {
        .done = [](void* flag, wl_callback*, std::uint32_t) noexcept { *static_cast<bool*>(flag) = true; },
    };
    if (auto gone = error()) return *std::move(gone);
    Proxy<wl_callback> callback(wl_display_sync(impl_->wrapper.get()));
    if (!callback) return make_error(Code::out_of_memory, waiting, "out of memory");
    wl_callback_add_listener(callback.get(), &listener, &done);
    return wait_until([&] { return done; }, deadline);
}

} // namespace share::wayland_client
