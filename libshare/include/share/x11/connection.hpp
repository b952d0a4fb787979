// SPDX-License-Identifier: MIT
// Connection: an X server connection on which nothing waits for ever.
//
// libxcb's own waits (xcb_connect, xcb_wait_for_*, xcb_flush on a full socket) have no limit; here every
// wait is a poll(2) of the connection's fd with a Deadline. A server that is gone gives `disconnected`, one
// that does not answer gives `timed_out`, and after a `timed_out` the connection is still usable. One wait of
// libxcb remains: when the first 32 bytes of a longer reply have come it waits for the rest.
//
// Owner: shared by the windows and swapchains made on it. Thread: one connection belongs to one thread. All
// events of the connection are read here and handed to the registered sinks: a program with a connection of
// its own lends it with borrow() and must not read events itself while it does.
// libxcb writes with writev(2): a program ignores SIGPIPE, or a dying server may end it.
// Source: X11 protocol, libxcb; the display's name as in X(7).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include <xcb/xcb.h>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/result.hpp>

namespace share::x11 {

/// What libxcb allocated with malloc: replies, events and errors.
struct FreeDeleter {
    void operator()(void* p) const noexcept { std::free(p); }
};
template<class T>
using XcbPtr = std::unique_ptr<T, FreeDeleter>;

/// Somebody who wants to see events.
class SHARE_API EventSink {
public:
    virtual ~EventSink() = default;
    /// Errors of requests without a reply come as events too (response_type 0). Every sink sees every event.
    virtual void handle(const xcb_generic_event_t& event) = 0;
};

class SHARE_API Connection {
public:
    /// `display` as in X(7): ":0", "host:1.0", a socket's path; empty: $DISPLAY.
    /// Errors: unavailable (no DISPLAY, nobody listens; says what was tried), denied (the server
    /// refuses us; libxcb prints its words on stderr), timed_out, invalid_argument (not a display's name).
    static Result<std::shared_ptr<Connection>> open(const std::string& display, Deadline deadline);
    /// `connection` stays the caller's and must live longer. Errors: disconnected, invalid_argument (no such
    /// screen), unsupported (a server that breaks the core protocol's limits).
    static Result<std::shared_ptr<Connection>> borrow(xcb_connection_t* connection, int screen);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    xcb_connection_t* xcb() const noexcept;
    /// For a program's own poll loop: readable means dispatch().
    int fd() const noexcept;
    const xcb_screen_t& screen() const noexcept;
    /// As asked for, for texts: ":0".
    const std::string& display() const noexcept;
    /// True when the socket can pass file descriptors (AF_UNIX).
    bool passes_fds() const noexcept;
    /// disconnected, when the connection is broken. Costs nothing.
    Result<void> check() const;

    /// Sinks are borrowed; remove before destroying one. Both may be called while events are handed out.
    void add_sink(EventSink& sink);
    void remove_sink(EventSink& sink) noexcept;
    /// Sends what is queued, and hands out every event that has come. Waits for no event; the Deadline is
    /// for sending. Errors: disconnected, timed_out (the server does not read).
    Result<void> dispatch(Deadline deadline);
    /// As dispatch(), but waits for at least one event. Errors: disconnected, timed_out.
    Result<void> wait_event(Deadline deadline);

    /// Sends what is queued. Events that come meanwhile are kept for dispatch().
    Result<void> flush(Deadline deadline);
    /// Waits until the socket takes some ten kilobytes without blocking; ask before queueing more than that.
    Result<void> wait_writable(Deadline deadline);
    /// How many bytes may be queued after one wait_writable().
    std::size_t write_block() const noexcept;
    /// Waits until the server has handled all requests so far (GetInputFocus and its answer).
    Result<void> roundtrip(Deadline deadline);

    /// The reply to the request with `cookie`. Errors: disconnected, timed_out, and the server's refusal as
    /// `denied` (BadAccess), `out_of_memory` (BadAlloc), otherwise invalid_argument, with the error's name.
    template<class Reply, class Cookie>
    Result<XcbPtr<Reply>> reply(Cookie cookie, const char* what, Deadline deadline) {
        auto raw = wait_reply(cookie.sequence, what, deadline);
        if (!raw) return std::move(raw).error();
        return XcbPtr<Reply>(static_cast<Reply*>(raw->release()));
    }
    /// Waits until a checked request without reply was handled. Errors: as reply().
    Result<void> confirm(xcb_void_cookie_t cookie, const char* what, Deadline deadline);
    /// An atom by name. Errors: as reply().
    Result<xcb_atom_t> atom(const char* name, Deadline deadline);

private:
    struct State;
    explicit Connection(std::unique_ptr<State> state) noexcept;
    Result<XcbPtr<void>> wait_reply(unsigned sequence, const char* what, Deadline deadline);
    std::unique_ptr<State> state_;
};

/// "BadAccess (attempt to access private resource denied)" and the like for core and MIT-SHM errors.
SHARE_API std::string error_text(const xcb_generic_error_t& error);

} // namespace share::x11
