// SPDX-License-Identifier: MIT
#include "loopback.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>
#include <stdexcept>

namespace testing {

std::ostream& operator<<(std::ostream& out, const ProtocolError& e) {
    return out << e.interface << " error " << e.code;
}

Loopback::Loopback() : display_(wl_display_create()) {
    if (!display_) throw std::runtime_error("wl_display_create");
}

Loopback::~Loopback() {
    wl_display_destroy_clients(display_);
    wl_display_destroy(display_);
}

void Loopback::dispatch() {
    wl_event_loop_dispatch(wl_display_get_event_loop(display_), 0);
    wl_display_flush_clients(display_);
}

Client::Client(Loopback& server) : server_(server) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
    peer_ = wl_client_create(server.display(), ends[0]);
    display_ = wl_display_connect_to_fd(ends[1]);
    if (!peer_ || !display_) throw std::runtime_error("connecting a client");
    gone_.self = this;
    gone_.listener.notify = [](wl_listener* listener, void*) {
        reinterpret_cast<PeerListener*>(listener)->self->peer_ = nullptr;
    };
    wl_client_add_destroy_listener(peer_, &gone_.listener);

    static constexpr wl_registry_listener listener{
        .global =
            [](void* data, wl_registry*, std::uint32_t name, const char* interface, std::uint32_t version) {
                static_cast<Client*>(data)->globals_.push_back({name, interface, version});
            },
        .global_remove = [](void*, wl_registry*, std::uint32_t) {},
    };
    registry_ = wl_display_get_registry(display_);
    wl_registry_add_listener(registry_, &listener, this);
    roundtrip();
}

Client::~Client() {
    disconnect();
    if (peer_) wl_list_remove(&gone_.listener.link);
}

void Client::disconnect() {
    if (!display_) return;
    if (registry_) wl_registry_destroy(registry_);
    wl_display_disconnect(display_); // leaks no proxy of ours: tests destroy theirs or end
    display_ = nullptr;
    registry_ = nullptr;
    for (int turn = 0; turn < 4 && peer_; ++turn)
        server_.dispatch();
}

void Client::flush() {
    wl_display_flush(display_);
    server_.dispatch();
}

bool Client::roundtrip() {
    bool done = false;
    static constexpr wl_callback_listener listener{
        .done = [](void* data, wl_callback*, std::uint32_t) { *static_cast<bool*>(data) = true; }};
    wl_callback* sync = wl_display_sync(display_);
    wl_callback_add_listener(sync, &listener, &done);
    int idle = 0;
    while (!done && wl_display_get_error(display_) == 0 && idle < 1000) {
        wl_display_flush(display_);
        server_.dispatch();
        if (wl_display_prepare_read(display_) == 0) {
            pollfd in{wl_display_get_fd(display_), POLLIN, 0};
            if (poll(&in, 1, 0) > 0) {
                wl_display_read_events(display_);
                idle = 0;
            } else {
                wl_display_cancel_read(display_);
                ++idle; // the server has nothing to say: it is never expected to need this many turns
            }
        }
        wl_display_dispatch_pending(display_);
    }
    wl_callback_destroy(sync);
    return done;
}

std::optional<ProtocolError> Client::error() {
    if (roundtrip()) return std::nullopt;
    // libwayland turns errors of wl_display into errno.
    switch (wl_display_get_error(display_)) {
    case EPROTO:
        break;
    case ENOMEM:
        return ProtocolError{"wl_display", WL_DISPLAY_ERROR_NO_MEMORY};
    case EINVAL:
        return ProtocolError{"wl_display", WL_DISPLAY_ERROR_INVALID_METHOD};
    default:
        return ProtocolError{"connection", 0};
    }
    const wl_interface* interface = nullptr;
    std::uint32_t id = 0;
    const auto code = wl_display_get_protocol_error(display_, &interface, &id);
    return ProtocolError{interface ? interface->name : (id == 1 ? "wl_display" : "?"), code};
}

std::uint32_t Client::advertised_version(const std::string& interface) const {
    for (const auto& global : globals_)
        if (global.interface == interface) return global.version;
    return 0;
}

void* Client::bind_raw(const wl_interface& interface, std::uint32_t version) {
    for (const auto& global : globals_)
        if (global.interface == interface.name)
            return wl_registry_bind(registry_, global.name, &interface, version);
    throw std::runtime_error(std::string("no global ") + interface.name);
}

} // namespace testing
