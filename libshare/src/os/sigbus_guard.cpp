// SPDX-License-Identifier: MIT
#include <share/sigbus_guard.hpp>

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "os/file.hpp"

namespace share {
namespace {

// The handler may only touch lock-free atomics. `generation` is odd while begin and end are being written: a
// handler on another thread must never join the begin of one region to the end of the next one in the slot.
struct Entry {
    std::atomic<bool> taken{false};
    std::atomic<std::uint32_t> generation{0};
    std::atomic<std::uintptr_t> begin{0};
    std::atomic<std::uintptr_t> end{0};
    std::atomic<std::uint32_t> tripped_in{1}; ///< the generation; 1 is odd and so nobody's

    void write(std::uintptr_t first, std::uintptr_t last) noexcept {
        generation.fetch_add(1, std::memory_order_acq_rel);
        begin.store(first, std::memory_order_release);
        end.store(last, std::memory_order_release);
        generation.fetch_add(1, std::memory_order_release);
    }
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

std::array<Entry, GuardedRegion::capacity> entries;
std::atomic<bool> installed{false};
std::size_t page = 4096; // set before the handler is installed
struct sigaction previous{};

/// Zero pages from the faulting page to the end of the region: a truncated file has lost its tail.
bool replace(std::uintptr_t from, std::uintptr_t to) noexcept {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): fault addresses are numbers
    return ::mmap(reinterpret_cast<void*>(from), to - from, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool cover(std::uintptr_t address) noexcept {
    bool covered = false;
    for (auto& entry : entries) {
        const std::uint32_t generation = entry.generation.load(std::memory_order_acquire);
        const std::uintptr_t begin = entry.begin.load(std::memory_order_acquire);
        const std::uintptr_t end = entry.end.load(std::memory_order_acquire);
        if (address < begin || address >= end) continue;
        // One that changes now guards nothing that anybody reads: whoever faults keeps his own in place.
        if (generation % 2 != 0 || entry.generation.load(std::memory_order_acquire) != generation) continue;
        // Huge pages cannot be replaced in part: then the whole region goes.
        covered = covered || replace(address & ~(page - 1), end) || replace(begin, end);
        if (covered) entry.tripped_in.store(generation, std::memory_order_release);
    }
    return covered;
}

void handler(int number, siginfo_t* info, void* context) {
    const int saved = errno;
    const bool handled =
        info->si_code == BUS_ADRERR && cover(reinterpret_cast<std::uintptr_t>(info->si_addr));
    errno = saved;
    if (handled) return;
    if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction)
        return previous.sa_sigaction(number, info, context);
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(number);
    ::signal(SIGBUS, SIG_DFL); // returning repeats the access, which now ends the process as it should
}

} // namespace

Result<void> install_sigbus_guard() {
    static const Result<void> result = []() -> Result<void> {
        page = os::page_size();
        struct sigaction action{};
        action.sa_sigaction = handler;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        if (::sigaction(SIGBUS, nullptr, &previous) < 0 || ::sigaction(SIGBUS, &action, nullptr) < 0)
            return error_from_errno(errno, "installing the SIGBUS guard", "sigaction");
        installed.store(true);
        return {};
    }();
    return result;
}

bool sigbus_guard_installed() noexcept {
    return installed.load();
}

Result<GuardedRegion> GuardedRegion::create(std::span<const std::byte> bytes) {
    const char* operation = "guarding a region against SIGBUS";
    if (!sigbus_guard_installed())
        return make_error(Code::unavailable, operation,
                          "the program must call share::install_sigbus_guard() first");
    const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
    const std::uintptr_t begin = first & ~(page - 1);
    const std::uintptr_t end = (first + bytes.size() + page - 1) & ~(page - 1);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        Entry& entry = entries[i];
        if (entry.taken.exchange(true, std::memory_order_acquire)) continue;
        entry.write(begin, end);
        return GuardedRegion(static_cast<int>(i));
    }
    return make_error(Code::limit, operation, "all 256 guards are in use; end one first");
}

GuardedRegion::GuardedRegion(GuardedRegion&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}

GuardedRegion& GuardedRegion::operator=(GuardedRegion&& other) noexcept {
    if (this == &other) return *this;
    release();
    slot_ = std::exchange(other.slot_, -1);
    return *this;
}

GuardedRegion::~GuardedRegion() {
    release();
}

void GuardedRegion::release() noexcept {
    if (slot_ < 0) return;
    Entry& entry = entries[static_cast<std::size_t>(std::exchange(slot_, -1))];
    entry.write(0, 0);
    entry.taken.store(false, std::memory_order_release);
}

bool GuardedRegion::tripped() const noexcept {
    if (slot_ < 0) return false;
    const Entry& entry = entries[static_cast<std::size_t>(slot_)];
    return entry.tripped_in.load(std::memory_order_acquire) ==
           entry.generation.load(std::memory_order_acquire);
}

} // namespace share
