// SPDX-License-Identifier: MIT
// Transport: one way of getting rectangles of a Buffer into a window. Made once per stream.
//
// Thread: the connection's. Errors of put(): timed_out, disconnected. A refusal by the server comes later,
// as an error event with the request's sequence number.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <share/buffer.hpp>
#include <share/ledger.hpp>
#include <share/pool.hpp>
#include <share/swapchain.hpp>
#include <share/x11/connection.hpp>

namespace share::x11 {

/// Where a transport puts pixels; the connection and the ids outlive the transport.
struct Target {
    Connection* connection = nullptr;
    xcb_window_t window = 0;
    xcb_gcontext_t gc = 0;
    std::uint8_t depth = 0;
    std::uint8_t bits_per_pixel = 0;
    std::uint8_t scanline_pad = 0; ///< bits
};

/// One rectangle; checked by the caller against buffer and wire: all numbers fit 15 bits.
struct Put {
    Rect source;
    std::int16_t x = 0, y = 0; ///< in the window
};

struct Sent {
    /// Sequence numbers of the first and the last request; the buffer is read until `awaits` has answered.
    std::uint32_t first = 0, last = 0;
    bool awaits_completion = false;
    std::optional<Error> error; ///< what is above was sent before it
};

class Transport {
public:
    virtual ~Transport() = default;
    virtual Mechanism mechanism() const noexcept = 0;
    /// Major opcode of its requests, as in error events.
    virtual std::uint8_t opcode() const noexcept = 0;
    virtual Sent put(const std::shared_ptr<Buffer>& buffer, std::span<const Put> puts, Deadline deadline) = 0;
    /// The sequence number of a completion event of this transport, or nothing.
    virtual std::optional<std::uint32_t> completed(const xcb_generic_event_t& event) const noexcept = 0;
};

/// What is asked of the server once for both MIT-SHM paths.
struct ShmSupport {
    std::uint8_t opcode = 0;
    std::uint8_t completion_event = 0;
    bool takes_fds = false; ///< version 1.2 or later
    std::uint16_t major = 0, minor = 0;
};
/// Errors: unsupported (no MIT-SHM), as Connection.
Result<ShmSupport> query_shm(Connection& connection, Deadline deadline);

/// Attaches the pool's memory and proves by a pixel of it that the server sees the same bytes.
/// Errors: unsupported with the reason (not a local socket, version, refused), as Connection.
Result<std::unique_ptr<Transport>> make_shm_fd(const Target& target, const ShmSupport& shm, const Pool& pool,
                                               Deadline deadline);
Result<std::unique_ptr<Transport>> make_shm_sysv(const Target& target, const ShmSupport& shm,
                                                 const Pool& pool, Deadline deadline);
std::unique_ptr<Transport> make_socket(const Target& target);

} // namespace share::x11
