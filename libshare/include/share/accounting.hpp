// SPDX-License-Identifier: MIT
// Accounting: how many bytes this process has from libshare, how many of them are pinned, and limits on both.
//
// total_bytes: what came from a Heap, from Heap::allocate to the end of the Memory.
// pinned_bytes: what the kernel can neither swap nor move. Memory of heaps that is never swappable
// (dma-heaps, dumb buffers, huge pages) counts from allocation to its end; swappable memory counts only while
// this process holds a udmabuf over it that Buffer::export_dmabuf() or join() made, by the udmabuf's range.
// Not counted: imported memory, which is its maker's (a server has its own limits for each client); a dma-buf
// that a peer still holds after we let go of ours; an fd that Memory::export_dmabuf() gave away.
//
// Late pinning: when the last handle of such a udmabuf goes, it is kept for a grace time, so that the next
// frame's attachment does not make it anew; then it is closed, and the memory may be swapped again. It is
// given up at once when a new pin would meet the limit, by trim_pins(), and when its Buffer goes. Before its
// Buffer goes, none is closed whose fences have not signalled: without them map() would not know of the
// device's work. The one thread that this needs exists only while something waits for its grace to end. A
// forked child gives up what rested at the fork; it begins with the counts of its parent, having the same
// objects.
//
// Owner: the process. Thread: any. Units: bytes. Errors: `limit`, with the limit, the use and what to do.
// Source: udmabuf.c (pins pages from creation to release).
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <utility>

#include <share/api.hpp>
#include <share/result.hpp>

namespace share {

inline constexpr std::uint64_t unlimited = UINT64_MAX;

struct MemoryLimits {
    std::uint64_t total_bytes = unlimited;
    std::uint64_t pinned_bytes = unlimited;
    friend bool operator==(const MemoryLimits&, const MemoryLimits&) = default;
};
/// Holds for what comes; what is there already stays, also when it is more.
SHARE_API void set_memory_limits(const MemoryLimits& limits) noexcept;
SHARE_API MemoryLimits memory_limits() noexcept;

struct MemoryUsage {
    std::uint64_t total_bytes = 0;
    std::uint64_t pinned_bytes = 0;
    friend bool operator==(const MemoryUsage&, const MemoryUsage&) = default;
};
/// A snapshot; the two numbers are read one after the other.
SHARE_API MemoryUsage memory_usage() noexcept;

/// How long a udmabuf that nobody holds is kept; 100 ms at first, 0: until its fences have signalled. Holds
/// for what is released from now on.
SHARE_API void set_pin_grace(std::chrono::milliseconds grace) noexcept;
SHARE_API std::chrono::milliseconds pin_grace() noexcept;
/// Closes every udmabuf that nobody holds and no fence guards. Returns the bytes that were unpinned.
SHARE_API std::uint64_t trim_pins() noexcept;

namespace detail {

/// Bytes that count until its end. A Memory holds one, and so does each udmabuf of a Buffer.
class SHARE_API [[nodiscard]] Charge {
public:
    Charge() noexcept = default;
    /// All or nothing. `operation` is what the bytes are for: it begins the error's text.
    static Result<Charge> take(std::uint64_t total, std::uint64_t pinned, std::string_view operation);
    Charge(Charge&& other) noexcept
        : total_(std::exchange(other.total_, 0)), pinned_(std::exchange(other.pinned_, 0)) {}
    Charge& operator=(Charge&& other) noexcept {
        std::swap(total_, other.total_);
        std::swap(pinned_, other.pinned_);
        return *this;
    }
    ~Charge();

    std::uint64_t total() const noexcept { return total_; }
    std::uint64_t pinned() const noexcept { return pinned_; }

private:
    Charge(std::uint64_t total, std::uint64_t pinned) noexcept : total_(total), pinned_(pinned) {}
    std::uint64_t total_ = 0, pinned_ = 0;
};

} // namespace detail
} // namespace share
