// SPDX-License-Identifier: MIT
#include <share/accounting.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <fmt/format.h>

namespace share {
namespace {

/// One counted quantity. Lock-free, so that a fork at any moment leaves nothing locked.
struct Account {
    std::atomic<std::uint64_t> used{0};
    std::atomic<std::uint64_t> limit{unlimited};

    bool add(std::uint64_t bytes) noexcept {
        if (bytes == 0) return true; // also when the limit was set below the use
        const auto most = limit.load(std::memory_order_relaxed);
        auto now = used.load(std::memory_order_relaxed);
        do {
            if (bytes > most || now > most - bytes) return false;
        } while (!used.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed));
        return true;
    }
    void remove(std::uint64_t bytes) noexcept { used.fetch_sub(bytes, std::memory_order_relaxed); }
};

Account all, unswappable;

Error over(const Account& account, const char* what, std::uint64_t bytes, std::string_view operation,
           const char* advice) {
    return make_error(Code::limit, std::string(operation),
                      fmt::format("{} more {} bytes would pass this process's limit of {}, {} are in use; {}",
                                  bytes, what, account.limit.load(), account.used.load(), advice));
}

} // namespace

void set_memory_limits(const MemoryLimits& limits) noexcept {
    all.limit = limits.total_bytes;
    unswappable.limit = limits.pinned_bytes;
}

MemoryLimits memory_limits() noexcept {
    return {all.limit, unswappable.limit};
}

MemoryUsage memory_usage() noexcept {
    return {all.used, unswappable.used};
}

namespace detail {

Result<Charge> Charge::take(std::uint64_t total_bytes, std::uint64_t pinned_bytes,
                            std::string_view operation) {
    if (std::max(total_bytes, pinned_bytes) > INT64_MAX)
        return make_error(Code::limit, std::string(operation),
                          fmt::format("nothing can have {} bytes", std::max(total_bytes, pinned_bytes)));
    if (!all.add(total_bytes))
        return over(all, "allocated", total_bytes, operation,
                    "free buffers or raise it with share::set_memory_limits()");
    Charge charge(total_bytes, 0); // goes back by itself when pinning is refused
    bool room = unswappable.add(pinned_bytes);
    if (!room) { // what only waits for its grace to end makes room for what is wanted now
        trim_pins();
        room = unswappable.add(pinned_bytes);
    }
    if (!room)
        return over(unswappable, "pinned", pinned_bytes, operation,
                    "release attachments and dma-bufs, or raise it with share::set_memory_limits()");
    charge.pinned_ = pinned_bytes;
    return charge;
}

Charge::~Charge() {
    all.remove(total_);
    unswappable.remove(pinned_);
}

} // namespace detail
} // namespace share
