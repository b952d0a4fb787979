// SPDX-License-Identifier: MIT
#include "os/guard_reporter.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "os/guard_entry.hpp"

namespace share::os {
namespace {

/// Text that a signal handler may read while another thread writes it: then it is a mixture, and no worse.
struct SignalText {
    std::array<std::atomic<char>, 161> bytes{};
    void set(std::string_view text) noexcept {
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i].store(i + 1 < bytes.size() && i < text.size() ? text[i] : '\0',
                           std::memory_order_relaxed);
    }
};

struct Place {
    GuardEntry range;
    std::atomic<bool> let_through{false};
    std::atomic<int> protection{PROT_NONE}; ///< of the mapping when it is shown
    SignalText name, holder;
};

std::array<Place, GuardNotice::capacity> places;
std::atomic<bool> installed{false};
struct sigaction previous{};

/// Builds one line without allocating; what does not fit is cut.
class Line {
public:
    void add(const char* text) noexcept {
        while (*text != '\0' && size_ < text_.size())
            text_[size_++] = *text++;
    }
    void add(const SignalText& text) noexcept {
        for (const auto& c : text.bytes) {
            const char byte = c.load(std::memory_order_relaxed);
            if (byte == '\0' || size_ == text_.size()) return;
            text_[size_++] = byte;
        }
    }
    void add_hex(std::uintptr_t number) noexcept {
        char digits[2 * sizeof number + 1] = {};
        for (std::size_t i = 2 * sizeof number; i-- > 0; number >>= 4U)
            digits[i] = "0123456789abcdef"[number & 15U];
        const char* from = digits;
        while (from[0] == '0' && from[1] != '\0')
            ++from;
        add("0x");
        add(from);
    }
    void write() const noexcept { (void)!::write(STDERR_FILENO, text_.data(), size_); }

private:
    std::array<char, 600> text_{};
    std::size_t size_ = 0;
};

enum class Kind { unknown, read, write };

Kind kind_of_access([[maybe_unused]] const void* context) noexcept {
#if defined(__x86_64__) && defined(__linux__)
    constexpr greg_t is_write = 2; // of the page fault's error code
    const auto* state = static_cast<const ucontext_t*>(context);
    return (state->uc_mcontext.gregs[REG_ERR] & is_write) != 0 ? Kind::write : Kind::read;
#else
    return Kind::unknown;
#endif
}

void report(const Place& place, const AddressRange& range, std::uintptr_t address, Kind kind) noexcept {
    Line line;
    line.add("libshare guard: ");
    line.add(kind == Kind::write ? "a write to " : kind == Kind::read ? "a read of " : "an access to ");
    line.add_hex(address);
    line.add(", byte ");
    line.add_hex(address - range.begin);
    line.add(" of the ");
    line.add(place.name);
    line.add(", without a bracket while it belongs to ");
    line.add(place.holder);
    line.add("\n");
    line.write();
}

/// True when the access may be made again.
bool tell(std::uintptr_t address, const void* context) noexcept {
    for (const Place& place : places) {
        const auto seen = place.range.read();
        if (!seen || address < seen->range.begin || address >= seen->range.end) continue;
        const Kind kind = kind_of_access(context);
        report(place, seen->range, address, kind);
        const int protection = place.protection;
        // Made again and refused again, it would be reported for ever.
        const bool possible = (protection & PROT_WRITE) != 0 || kind == Kind::read;
        // NOLINTNEXTLINE(performance-no-int-to-ptr): fault addresses are numbers
        return place.let_through && possible &&
               ::mprotect(reinterpret_cast<void*>(seen->range.begin), seen->range.end - seen->range.begin,
                          protection) == 0;
    }
    return false;
}

void handler(int number, siginfo_t* info, void* context) {
    const int saved = errno;
    const bool again =
        info->si_code == SEGV_ACCERR && tell(reinterpret_cast<std::uintptr_t>(info->si_addr), context);
    errno = saved;
    if (again) return;
    if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction)
        return previous.sa_sigaction(number, info, context);
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(number);
    ::signal(SIGSEGV, SIG_DFL); // returning repeats the access, which now ends the process as it should
}

} // namespace

Result<GuardNotice> GuardNotice::create(std::span<std::byte> bytes, std::string_view name, bool let_through,
                                        Access access) {
    const char* operation = "reporting accesses to guarded memory";
    if (!installed.load())
        return make_error(Code::unavailable, operation,
                          "the program must call share::install_guard_reporter() first");
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
    for (std::size_t i = 0; i < places.size(); ++i) {
        Place& place = places[i];
        if (place.range.taken.exchange(true, std::memory_order_acquire)) continue;
        place.let_through = let_through;
        place.protection = (reads(access) ? PROT_READ : 0) | (writes(access) ? PROT_WRITE : 0);
        place.name.set(name);
        place.holder.set("nobody");
        place.range.write({begin, begin + bytes.size()});
        return GuardNotice(static_cast<int>(i));
    }
    return make_error(Code::limit, operation, "all 128 places are in use; end a guard first");
}

GuardNotice::GuardNotice(GuardNotice&& other) noexcept : place_(std::exchange(other.place_, -1)) {}

GuardNotice::~GuardNotice() {
    if (place_ < 0) return;
    Place& place = places[static_cast<std::size_t>(place_)];
    place.range.write({});
    place.range.taken.store(false, std::memory_order_release);
}

void GuardNotice::set_holder(std::string_view holder) noexcept {
    places[static_cast<std::size_t>(place_)].holder.set(holder);
}

void GuardNotice::forget_in_child() const noexcept {
    if (place_ >= 0) places[static_cast<std::size_t>(place_)].let_through = false;
}

Result<void> install_reporter() {
    static const Result<void> result = []() -> Result<void> {
        struct sigaction action{};
        action.sa_sigaction = handler;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        if (::sigaction(SIGSEGV, nullptr, &previous) < 0 || ::sigaction(SIGSEGV, &action, nullptr) < 0)
            return error_from_errno(errno, "installing the reporter of guards", "sigaction");
        installed.store(true);
        return {};
    }();
    return result;
}

bool reporter_installed() noexcept {
    return installed.load();
}

} // namespace share::os
