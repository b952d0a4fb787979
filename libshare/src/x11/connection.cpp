// SPDX-License-Identifier: MIT
#include <share/x11/connection.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <xcb/xcbext.h>

#include "display.hpp"

namespace share::x11 {

struct Connection::State {
    xcb_connection_t* xcb = nullptr;
    bool owned = false;
    const xcb_screen_t* screen = nullptr;
    std::string display;
    bool passes_fds = false;
    std::size_t write_block = 0;
    std::deque<XcbPtr<xcb_generic_event_t>> pending;
    std::vector<EventSink*> sinks; ///< null: removed while events were handed out

    ~State() {
        if (owned) xcb_disconnect(xcb);
    }
    Error disconnected(std::string operation) const;
    Error late(std::string operation) const;
    void pull();
    void deliver();
    Result<void> wait_for(short events, const char* operation, Deadline deadline);
};

namespace {

const xcb_screen_t* find_screen(xcb_connection_t* xcb, int number) {
    auto it = xcb_setup_roots_iterator(xcb_get_setup(xcb));
    for (; it.rem > 0 && number > 0; --number)
        xcb_screen_next(&it);
    return it.rem > 0 && number == 0 ? it.data : nullptr;
}

/// A quarter of the send buffer: poll(2) says "writable" only when more than that is free.
std::size_t choose_write_block(int fd) {
    int size = 0;
    socklen_t length = sizeof size;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) != 0) size = 0;
    return std::clamp<std::size_t>(static_cast<std::size_t>(std::max(size, 0)) / 4, 4096, 65536);
}

bool is_unix_socket(int fd) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    return getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
           address.ss_family == AF_UNIX;
}

Error refusal(const xcb_generic_error_t& error, const char* what) {
    const auto code = error.error_code == 10   ? Code::denied
                      : error.error_code == 11 ? Code::out_of_memory
                                               : Code::invalid_argument;
    return make_error(code, what, "the X server answered " + error_text(error));
}

} // namespace

Error Connection::State::disconnected(std::string operation) const {
    return make_error(
        Code::disconnected, std::move(operation),
        fmt::format("the connection to X display '{}' is broken; the server has ended or closed it",
                    display));
}

Error Connection::State::late(std::string operation) const {
    return make_error(
        Code::timed_out, std::move(operation),
        fmt::format("the server of X display '{}' did not react in time; does it hang?", display));
}

void Connection::State::pull() {
    while (auto* event = xcb_poll_for_event(xcb))
        pending.emplace_back(event);
}

void Connection::State::deliver() {
    while (!pending.empty()) {
        const auto event = std::move(pending.front());
        pending.pop_front();
        for (std::size_t i = 0; i < sinks.size(); ++i)
            if (sinks[i]) sinks[i]->handle(*event);
    }
    std::erase(sinks, nullptr);
}

// Events are read whatever is waited for: a server that cannot write to us stops reading from us.
Result<void> Connection::State::wait_for(short events, const char* operation, Deadline deadline) {
    for (;;) {
        if (xcb_connection_has_error(xcb) != 0) return disconnected(operation);
        pollfd p{xcb_get_file_descriptor(xcb), static_cast<short>(events | POLLIN), 0};
        const int got = poll(&p, 1, deadline.remaining_ms());
        if (got < 0 && errno != EINTR) return error_from_errno(errno, operation, "poll");
        if (got > 0 && (p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) pull();
        if (got > 0 && (p.revents & events) != 0 && xcb_connection_has_error(xcb) == 0) return {};
        if (deadline.passed()) return late(operation);
    }
}

Connection::Connection(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Connection::~Connection() = default;

Result<std::shared_ptr<Connection>> Connection::open(const std::string& display, Deadline deadline) {
    auto opened = open_display(display, deadline);
    if (!opened) return std::move(opened).error();
    auto connection = borrow(opened->xcb, opened->screen);
    if (!connection) {
        xcb_disconnect(opened->xcb);
        return connection;
    }
    (*connection)->state_->owned = true;
    (*connection)->state_->display = opened->name;
    return connection;
}

Result<std::shared_ptr<Connection>> Connection::borrow(xcb_connection_t* xcb, int screen) {
    // libxcb hangs on a connection without a socket, so an error object must be kept from it.
    if (!xcb || xcb_connection_has_error(xcb) != 0 || xcb_get_file_descriptor(xcb) < 0)
        return make_error(Code::disconnected, "using an X connection", "it is broken or was never made");
    auto state = std::make_unique<State>();
    state->xcb = xcb;
    state->display = "(lent connection)";
    state->screen = find_screen(xcb, screen);
    if (!state->screen)
        return make_error(Code::invalid_argument, fmt::format("using screen {} of the X server", screen),
                          fmt::format("it has {} of them", xcb_setup_roots_length(xcb_get_setup(xcb))));
    // The core protocol's least. With less libxcb asks for BIG-REQUESTS in mid-request, and waits for it.
    constexpr std::uint32_t least_request = 4096;
    if (const auto most = xcb_get_setup(xcb)->maximum_request_length; most < least_request)
        return make_error(Code::unsupported, "using an X connection",
                          fmt::format("the server takes requests of {} words only, and X11 promises {}", most,
                                      least_request));
    state->passes_fds = is_unix_socket(xcb_get_file_descriptor(xcb));
    state->write_block = choose_write_block(xcb_get_file_descriptor(xcb));
    return std::shared_ptr<Connection>(new Connection(std::move(state)));
}

xcb_connection_t* Connection::xcb() const noexcept {
    return state_->xcb;
}
int Connection::fd() const noexcept {
    return xcb_get_file_descriptor(state_->xcb);
}
const xcb_screen_t& Connection::screen() const noexcept {
    return *state_->screen;
}
const std::string& Connection::display() const noexcept {
    return state_->display;
}
bool Connection::passes_fds() const noexcept {
    return state_->passes_fds;
}
std::size_t Connection::write_block() const noexcept {
    return state_->write_block;
}

Result<void> Connection::check() const {
    if (xcb_connection_has_error(state_->xcb) != 0) return state_->disconnected("talking to the X server");
    return {};
}

void Connection::add_sink(EventSink& sink) {
    state_->sinks.push_back(&sink);
}

void Connection::remove_sink(EventSink& sink) noexcept {
    std::replace(state_->sinks.begin(), state_->sinks.end(), &sink, static_cast<EventSink*>(nullptr));
}

Result<void> Connection::dispatch(Deadline deadline) {
    auto sent = flush(deadline);
    state_->pull();
    state_->deliver();
    return sent ? check() : sent;
}

Result<void> Connection::wait_event(Deadline deadline) {
    if (auto sent = flush(deadline); !sent) return sent;
    state_->pull();
    constexpr const char* operation = "waiting for an event of the X server";
    while (state_->pending.empty()) {
        if (auto ready = state_->wait_for(POLLIN, operation, deadline); !ready) return ready;
        // Readable, but not yet a whole event.
        if (state_->pending.empty() && deadline.passed()) return state_->late(operation);
    }
    state_->deliver();
    return check();
}

Result<void> Connection::wait_writable(Deadline deadline) {
    return state_->wait_for(POLLOUT, "sending to the X server", deadline);
}

Result<void> Connection::flush(Deadline deadline) {
    if (auto room = wait_writable(deadline); !room) return room;
    if (xcb_flush(state_->xcb) <= 0) return state_->disconnected("sending to the X server");
    return {};
}

Result<XcbPtr<void>> Connection::wait_reply(unsigned sequence, const char* what, Deadline deadline) {
    auto sent = flush(deadline);
    bool passed = false;
    while (sent) {
        void* raw = nullptr;
        xcb_generic_error_t* raw_error = nullptr;
        if (xcb_poll_for_reply(state_->xcb, sequence, &raw, &raw_error) != 0) {
            XcbPtr<void> reply(raw);
            const XcbPtr<xcb_generic_error_t> error(raw_error);
            if (reply) return reply;
            if (error) return refusal(*error, what);
            return state_->disconnected(what);
        }
        // A server that sends anything but the answer keeps the socket readable for ever.
        sent = passed ? Result<void>(state_->late(what)) : state_->wait_for(POLLIN, what, deadline);
        passed = deadline.passed();
    }
    if (sent.error().code == Code::timed_out) xcb_discard_reply(state_->xcb, sequence);
    return std::move(sent).error();
}

Result<void> Connection::roundtrip(Deadline deadline) {
    auto answer = reply<xcb_get_input_focus_reply_t>(xcb_get_input_focus(state_->xcb),
                                                     "waiting for the X server to catch up", deadline);
    if (!answer) return std::move(answer).error();
    return {};
}

Result<void> Connection::confirm(xcb_void_cookie_t cookie, const char* what, Deadline deadline) {
    // Once a later request was answered, xcb_request_check() knows the outcome and does not wait.
    if (auto done = roundtrip(deadline); !done) {
        xcb_discard_reply(state_->xcb, cookie.sequence);
        done.error().operation = what;
        return done;
    }
    const XcbPtr<xcb_generic_error_t> error(xcb_request_check(state_->xcb, cookie));
    if (error) return refusal(*error, what);
    return {};
}

Result<xcb_atom_t> Connection::atom(const char* name, Deadline deadline) {
    const auto cookie = xcb_intern_atom(
        state_->xcb, 0, static_cast<std::uint16_t>(std::char_traits<char>::length(name)), name);
    auto answer = reply<xcb_intern_atom_reply_t>(cookie, "asking for an atom", deadline);
    if (!answer) return std::move(answer).error();
    return (*answer)->atom;
}

} // namespace share::x11
