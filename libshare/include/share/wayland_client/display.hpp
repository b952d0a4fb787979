// SPDX-License-Identifier: MIT
// Display: our side of one Wayland connection, own or borrowed, and what its compositor offers.
//
// It has an event queue of its own: it can live inside any toolkit that owns the wl_display, whose own
// objects are never dispatched from here. A program without a toolkit may create its objects on queue()
// and have them dispatched together with ours.
//
// Owner: the program. A Display outlives every Swapchain on it, and a borrowed wl_display outlives the
// Display. Thread: one thread uses a Display and the swapchains on it; other threads may use the same
// wl_display with other queues.
// Errors: every wait has a deadline: a compositor that hangs gives `timed_out`, one that went away
// `disconnected`, a protocol error `disconnected` with object, interface and code in its text; from then on
// every call gives the same error.
// Source: wayland-client-core.h (wl_display_prepare_read_queue), wl_display.error, linux-dmabuf-v1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/result.hpp>
#include <share/unique_fd.hpp>
#include <share/wayland_client/offer.hpp>

struct wl_display;
struct wl_event_queue;
struct wl_interface;

namespace share::wayland_client {

struct Global {
    std::uint32_t name = 0;
    std::uint32_t version = 0;
    std::string interface;
};

/// A stream socket to the compositor that the environment names, as libwayland would find it: WAYLAND_SOCKET
/// (consumed), else WAYLAND_DISPLAY (a path, or a name in XDG_RUNTIME_DIR), else "wayland-0"; `name` goes
/// before both. Unlike wl_display_connect() it never waits longer than the deadline and says what was tried.
SHARE_API Result<UniqueFd> connect_socket(std::optional<std::string_view> name, Deadline deadline);

class SHARE_API Display {
public:
    struct Impl;

    /// A connection of our own. Errors: unavailable (what was tried), timed_out, as above.
    static Result<std::unique_ptr<Display>> connect(Deadline deadline,
                                                    std::optional<std::string_view> name = std::nullopt);
    /// On a connection that somebody else owns and goes on using.
    static Result<std::unique_ptr<Display>> wrap(wl_display* display, Deadline deadline);
    ~Display();
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;

    wl_display* native() const noexcept;
    wl_event_queue* queue() const noexcept;
    const std::vector<Global>& globals() const noexcept;
    /// A new proxy on queue() for the first global of that interface, at most of `max_version`; nullptr when
    /// the compositor has none. The caller destroys it before the Display.
    void* bind(const wl_interface* interface, std::uint32_t max_version);

    /// nullptr when the compositor has no linux-dmabuf, or `dmabuf_reason()` says why it cannot be used.
    const DmabufOffer* dmabuf() const noexcept;
    const std::string& dmabuf_reason() const noexcept;
    const ShmOffer& shm() const noexcept;

    /// Sends what is queued; waits for room in the socket until the deadline.
    Result<void> flush(Deadline deadline);
    /// Dispatches what is there; if there was nothing, waits until events come, one of `wake_fds` is readable
    /// or a signal interrupts (all three: success) or until the deadline (timed_out).
    Result<void> dispatch(Deadline deadline, std::span<const int> wake_fds = {});
    /// An idle stream unpins (see SwapchainOptions::idle_after) inside dispatch() and whatever waits. A
    /// program that dispatches queue() itself, or only polls the display's fd, calls tick() after it has
    /// dispatched and at next_tick(): nothing: no stream waits to become idle. Never waits.
    std::optional<Deadline> next_tick() const noexcept;
    void tick(Deadline::Clock::time_point now = Deadline::Clock::now()) noexcept;
    /// Dispatches until `done()`.
    template<class Done>
    Result<void> wait_until(Done done, Deadline deadline) {
        for (;;) {
            if (done()) return {};
            if (auto step = dispatch(deadline); !step) return done() ? Result<void>() : step;
        }
    }
    /// Waits until the compositor has handled everything sent so far.
    Result<void> sync(Deadline deadline);
    /// The error that ended the connection, if any.
    std::optional<Error> error() const;

    /// For the other files of this library.
    Impl& impl() noexcept { return *impl_; }

private:
    explicit Display(std::unique_ptr<Impl> impl) noexcept;
    static Result<std::unique_ptr<Display>> open(std::unique_ptr<Impl> impl, Deadline deadline);
    Result<void> dispatch_once(Deadline deadline, std::span<const int> wake_fds);
    std::unique_ptr<Impl> impl_;
};

} // namespace share::wayland_client
