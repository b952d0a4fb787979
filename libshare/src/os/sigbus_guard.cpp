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
#include "os/guard_entry.hpp"

namespace share {
namespace {

using os::AddressRange;
using os::GuardEntry;

std::array<GuardEntry, GuardedRegion::capacity> entries;
std::atomic<bool> installed{false};
std::size_t page = 4096; // set before the handler is installed
struct sigaction previous{};

/// Zero pages from the faulting page to the end of the region: a truncated file has lost its tail.
bool replace(std::uintptr_t from, std::uintptr_t to) noexcept {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): fault addresses are numbers
    return ::mmap(reinterpret_cast<void*>(from), to - from, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

// Huge pages cannot be replaced in part: then the whole region goes.
AddressRange replace_in(AddressRange region, std::uintptr_t address) noexcept {
    const AddressRange tail{address & ~(page - 1), region.end};
    if (replace(tail.begin, tail.end)) return tail;
    return replace(region.begin, region.end) ? region : AddressRange{};
}

// Calls use(entry, seen) for each region that has a byte of `bytes`.
template<class F>
void each_with(AddressRange bytes, F use) noexcept {
    for (GuardEntry& entry : entries)
        if (const auto seen = entry.read();
            seen && bytes.end > seen->range.begin && bytes.begin < seen->range.end)
            use(entry, *seen);
}

bool cover(std::uintptr_t address) noexcept {
    AddressRange zeros;
    each_with({address, address + 1}, [&](GuardEntry&, const GuardEntry::Seen& seen) {
        if (zeros.end == 0) zeros = replace_in(seen.range, address);
    });
    if (zeros.end == 0) return false;
    // Others that overlap read zeros from now on, without a fault of their own.
    each_with(zeros, [](GuardEntry& entry, const GuardEntry::Seen& seen) {
        entry.tripped_in.store(seen.generation, std::memory_order_release);
    });
    return true;
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
        GuardEntry& entry = entries[i];
        if (entry.taken.exchange(true, std::memory_order_acquire)) continue;
        entry.write({begin, end});
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
    GuardEntry& entry = entries[static_cast<std::size_t>(std::exchange(slot_, -1))];
    entry.write({});
    entry.taken.store(false, std::memory_order_release);
}

bool GuardedRegion::tripped() const noexcept {
    if (slot_ < 0) return false;
    const GuardEntry& entry = entries[static_cast<std::size_t>(slot_)];
    return entry.tripped_in.load(std::memory_order_acquire) ==
           entry.generation.load(std::memory_order_acquire);
}

} // namespace share
