// SPDX-License-Identifier: MIT
// X11Swapchain: a Swapchain on any X window, by the best path that this server really takes.
//
// In order: MIT-SHM with the pool's memfd (ShmAttachFd; the server gets an fd of its own), MIT-SHM with a
// SysV segment, pixels through the socket. Each step down leaves its reason in the ledger's notes. Attached
// once per stream: a frame is one ShmPutImage per damaged rectangle, the last of which asks for the
// completion event that gives the buffer back. The server's own copy of the damage is in the ledger.
//
// The last presented buffer is kept (keep_front) until the next present, so that repaint() can answer an
// Expose at any time. Image and window sizes may differ: the picture lies at set_position().
// Owner: the program. Thread: the connection's. Errors: every wait has a deadline (see Connection); after
// `disconnected` nothing is held any more. Source: MIT-SHM 1.2 (xorgproto shm.h), X11 protocol PutImage.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/heap.hpp>
#include <share/ledger.hpp>
#include <share/swapchain.hpp>
#include <share/x11/connection.hpp>

namespace share::x11 {

enum class Path : std::uint8_t { automatic, fd, sysv, socket };
/// "auto", "fd", "sysv", "socket".
SHARE_API std::string_view to_string(Path path) noexcept;
SHARE_API std::optional<Path> parse_path(std::string_view word) noexcept;

/// The pixel format of a window: what ZPixmap data for it looks like.
struct WindowFormat {
    Fourcc format = 0;
    std::uint8_t depth = 0;
    std::uint8_t bits_per_pixel = 0;
    std::uint8_t scanline_pad = 0; ///< bits
};
/// Errors: unsupported (the visual's masks or byte order are of no known format, told), as Connection.
SHARE_API Result<WindowFormat> window_format(Connection& connection, xcb_window_t window, Deadline deadline);

/// The best of `offered` for a window whose pixels are `window`: its own format; one with the same bytes
/// (ARGB8888 for XRGB8888: premultiplied pixels appear on black); XRGB8888 or ARGB8888 to be converted in a
/// step of its own, told in the ledger. 0: none fits.
SHARE_API Fourcc choose_format(Fourcc window, std::span<const Fourcc> offered) noexcept;

struct SwapchainOptions {
    std::uint32_t width = 0, height = 0;
    std::uint32_t slots = 3;     ///< 1 to 64; at least 2 with keep_front
    Path path = Path::automatic; ///< another one: only this, and an error where it cannot be had
    bool keep_front = true;
    /// What the producer can write, best first; empty: the window's own format, whatever it is. Chosen by
    /// choose_format(); layout().format() says which. Errors when none fits: unsupported.
    std::vector<Fourcc> formats;
    /// present() and repaint() give up when the server reads nothing for so long.
    std::chrono::milliseconds send_timeout{5000};
};

class SHARE_API X11Swapchain final : public share::Swapchain {
public:
    /// `ledger` must live longer. Errors: unsupported (window format), limit (over 32767 pixels),
    /// whatever kept the asked path from being taken, as Connection and Heap::allocate.
    static Result<std::unique_ptr<X11Swapchain>> create(std::shared_ptr<Connection> connection,
                                                        xcb_window_t window, const HeapTable& heaps,
                                                        Ledger& ledger, const SwapchainOptions& options,
                                                        Deadline deadline);
    ~X11Swapchain() override;

    const Layout& layout() const noexcept override;
    Result<Image> acquire(Deadline deadline) override;
    void discard(Image image) noexcept override;
    /// The only waiting here is for room in the connection's socket, at most send_timeout: with shared memory
    /// for a few hundred bytes, on the socket path for the whole frame. `busy`: a write Mapping of the
    /// image still exists. After an error the image is given back unpresented.
    Result<void> present(Image image, std::span<const Rect> damage, FrameRecord record) override;
    /// Until the server has taken the last presented frame.
    Result<void> wait_paced(Deadline deadline) override;
    Result<void> wait_shown(Deadline deadline) override;
    Mechanism path() const noexcept override;

    /// Where the picture's upper left corner lies in the window. Takes effect with the next put.
    void set_position(std::int32_t x, std::int32_t y) noexcept;
    /// The window's size in pixels, as its last ConfigureNotify said. What lies outside is neither sent nor
    /// counted as the server's copy. Until told, all of the picture is put and the server crops it: the
    /// ledger's figure is then the most that it can have copied. After growth, repaint() the new part.
    void set_window_size(std::uint32_t width, std::uint32_t height) noexcept;
    /// Puts a part of the last presented picture again; `area` in window pixels (an Expose). Nothing happens
    /// before the first present and without keep_front. Not a frame: it is not in the ledger's frames.
    Result<void> repaint(Rect area);
    /// Presented frames that the server has not finished with.
    std::uint32_t in_flight() const noexcept;
    /// The buffers' memory: for proofs of what is shared.
    const std::shared_ptr<Memory>& memory() const noexcept;

private:
    class Impl;
    explicit X11Swapchain(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

} // namespace share::x11
