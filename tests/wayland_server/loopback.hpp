// SPDX-License-Identifier: MIT
// Loopback: a libwayland server and its clients in one thread of one process, joined by socketpairs. Both
// sides are dispatched in turn, so nothing waits and nothing races.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <wayland-client.h>
#include <wayland-server-core.h>

namespace testing {

class Loopback;

/// What killed a connection.
struct ProtocolError {
    std::string interface;
    std::uint32_t code = 0;
    friend bool operator==(const ProtocolError&, const ProtocolError&) = default;
    friend std::ostream& operator<<(std::ostream& out, const ProtocolError& e);
};

class Client {
public:
    explicit Client(Loopback& server);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    wl_display* display() const { return display_; }
    wl_registry* registry() const { return registry_; }
    /// The server's side of this connection; null once it was closed.
    wl_client* peer() const { return peer_; }

    /// True when the server answered a sync; false when the connection died.
    bool roundtrip();
    /// Only sends; dispatches the server once.
    void flush();
    bool alive() { return roundtrip(); }
    /// Round trip, then the error that the server posted, if any.
    std::optional<ProtocolError> error();
    /// Closes without destroying any proxy: what a crash looks like to the server.
    void disconnect();

    struct Advertised {
        std::uint32_t name = 0;
        std::string interface;
        std::uint32_t version = 0;
    };
    const std::vector<Advertised>& globals() const { return globals_; }
    std::uint32_t advertised_version(const std::string& interface) const;
    template<class Proxy>
    Proxy* bind(const wl_interface& interface, std::uint32_t version) {
        return static_cast<Proxy*>(bind_raw(interface, version));
    }

private:
    friend class Loopback;
    void* bind_raw(const wl_interface& interface, std::uint32_t version);
    struct PeerListener {
        wl_listener listener{};
        Client* self = nullptr;
    };
    Loopback& server_;
    wl_client* peer_ = nullptr;
    wl_display* display_ = nullptr;
    wl_registry* registry_ = nullptr;
    std::vector<Advertised> globals_;
    PeerListener gone_;
};

class Loopback {
public:
    Loopback();
    ~Loopback();
    Loopback(const Loopback&) = delete;
    Loopback& operator=(const Loopback&) = delete;
    wl_display* display() const { return display_; }
    /// One turn of the server's loop, without waiting.
    void dispatch();

private:
    wl_display* display_;
};

} // namespace testing
