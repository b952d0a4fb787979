// SPDX-License-Identifier: MIT
#include "os/userfault.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "os/call.hpp"

// Newer than some of the headers that we build with.
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_EXACT_ADDRESS
#define UFFD_FEATURE_EXACT_ADDRESS (1 << 11)
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif

namespace share::os {
namespace {

constexpr std::uint64_t needed = UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_THREAD_ID;
constexpr std::uint64_t for_writes = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
constexpr const char* opening = userfaultfd_operation;

Error refused(int os_errno) {
    if (os_errno == EPERM)
        return error_from_errno(
            os_errno, opening,
            "a security policy refuses it (containers' seccomp filters often do): allow the "
            "system call userfaultfd, or do without a guard");
    if (os_errno == ENOSYS)
        return {Code::unsupported, os_errno, opening,
                "the kernel was built without CONFIG_USERFAULTFD, or a seccomp filter hides it"};
    if (os_errno == EINVAL)
        return {Code::unsupported, os_errno, opening, "UFFD_USER_MODE_ONLY needs Linux 5.11"};
    return error_from_errno(os_errno, opening, "userfaultfd");
}

/// The fd with `features` on; `features` becomes what the kernel has.
Result<UniqueFd> open_with(std::uint64_t& features) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
    if (!fd) return refused(errno);
    struct uffdio_api api{};
    api.api = UFFD_API;
    api.features = features;
    if (retry_ioctl(fd.get(), UFFDIO_API, &api) < 0) return error_from_errno(errno, opening, "UFFDIO_API");
    features = api.features;
    return fd;
}

// Not by mmap(3): ThreadSanitizer takes that for a write to every byte, which here would race with each
// access.
void* map(void* at, std::size_t size, int flags, const FileRange& file) noexcept {
    const int protection = (reads(file.access) ? PROT_READ : 0) | (writes(file.access) ? PROT_WRITE : 0);
#ifdef SYS_mmap2 // 32 bits; its offset counts 4096 bytes
    const long mapped = ::syscall(SYS_mmap2, at, size, protection, flags, file.fd, file.offset / 4096);
#else
    const long mapped = ::syscall(SYS_mmap, at, size, protection, flags, file.fd, file.offset);
#endif
    return reinterpret_cast<void*>(mapped); // NOLINT(performance-no-int-to-ptr)
}

std::string describe(std::span<std::byte> range) {
    return fmt::format("{} bytes at {}", range.size(), static_cast<const void*>(range.data()));
}

Error no_room(int os_errno, std::span<std::byte> range, const char* call) {
    return error_from_errno(
        os_errno, fmt::format("holding back accesses to {}", describe(range)),
        os_errno == ENOMEM ? fmt::format("{}; address space or the limit of mappings (vm.max_map_count) is "
                                         "exhausted",
                                         call)
                           : std::string(call));
}

/// A mapping that is not in its place yet.
class Spare {
public:
    Spare(void* at, std::size_t size) noexcept : at_(at), size_(size) {}
    ~Spare() {
        const int saved = errno;
        if (at_ != MAP_FAILED) ::munmap(at_, size_);
        errno = saved;
    }
    Spare(const Spare&) = delete;
    Spare& operator=(const Spare&) = delete;
    explicit operator bool() const noexcept { return at_ != MAP_FAILED; }
    void* get() const noexcept { return at_; }
    void moved() noexcept { at_ = MAP_FAILED; }

private:
    void* at_;
    std::size_t size_;
};

} // namespace

struct Userfault::State {
    Listener& listener;
    UniqueFd fd, stop;
    bool write_tracking = false;
    std::thread reader;

    void read_events() noexcept {
        std::array<struct uffd_msg, 16> messages{};
        for (;;) {
            std::array<struct pollfd, 2> entries{{{fd.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}}};
            if (::poll(entries.data(), entries.size(), -1) < 0) continue; // EINTR; there is no other reason
            if (entries[1].revents != 0) return;
            const auto got = ::read(fd.get(), messages.data(), sizeof messages);
            // EVENT_REMAP wants to be read and no more: its thread goes on then.
            for (std::size_t i = 0; got > 0 && i < static_cast<std::size_t>(got) / sizeof messages[0]; ++i)
                if (messages[i].event == UFFD_EVENT_PAGEFAULT) {
                    const auto& fault = messages[i].arg.pagefault;
                    listener.held({static_cast<std::uintptr_t>(fault.address),
                                   (fault.flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0,
                                   static_cast<pid_t>(fault.feat.ptid)});
                }
        }
    }

    bool watch(void* at, std::size_t size, std::uint64_t mode) noexcept {
        struct uffdio_register request{};
        request.range = {reinterpret_cast<std::uintptr_t>(at), size};
        request.mode = mode;
        return retry_ioctl(fd.get(), UFFDIO_REGISTER, &request) == 0;
    }
};

Userfault::Userfault(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}

Result<std::unique_ptr<Userfault>> Userfault::open(Listener& listener) {
    // Asked twice, as userfaultfd(2) says: an fd takes its features once.
    std::uint64_t known = 0;
    if (auto asked = open_with(known); !asked) return std::move(asked).error();
    if ((known & needed) != needed)
        return make_error(Code::unsupported, opening,
                          "the kernel tells of no moved mappings or threads (Linux 4.14)");
    std::uint64_t features = needed | (known & UFFD_FEATURE_EXACT_ADDRESS);
    const bool write_tracking = (known & for_writes) == for_writes;
    if (write_tracking) features |= for_writes;
    auto fd = open_with(features);
    if (!fd) return std::move(fd).error();
    UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
    if (!stop) return error_from_errno(errno, opening, "eventfd");

    auto state =
        std::make_unique<State>(State{listener, std::move(*fd), std::move(stop), write_tracking, {}});
    sigset_t all, before; // signals are for the program's own threads
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = true;
    try {
        state->reader = std::thread([raw = state.get()] { raw->read_events(); });
        pthread_setname_np(state->reader.native_handle(), "share-faults");
    } catch (const std::exception&) {
        started = false;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (!started) return make_error(Code::limit, opening, "the system gives no thread for its events");
    return std::unique_ptr<Userfault>(new Userfault(std::move(state)));
}

Userfault::~Userfault() {
    if (!state_) return;
    const std::uint64_t one = 1;
    (void)!::write(state_->stop.get(), &one, sizeof one);
    state_->reader.join();
}

bool Userfault::can_hold_writes() const noexcept {
    return state_->write_tracking;
}

// A failed mremap may have made a hole already; what was there is put back.
Result<void> Userfault::move_over(std::span<std::byte> range, void* from, const FileRange& file) {
    if (::mremap(from, range.size(), range.size(), MREMAP_MAYMOVE | MREMAP_FIXED, range.data()) != MAP_FAILED)
        return {};
    auto error = no_room(errno, range, "mremap");
    (void)map(range.data(), range.size(), MAP_SHARED | MAP_FIXED, file);
    return error;
}

Result<void> Userfault::hold_all(std::span<std::byte> range, const FileRange& file) {
    Spare spare(::mmap(nullptr, range.size(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
                range.size());
    if (!spare) return no_room(errno, range, "mmap");
    // With mlockall(MCL_FUTURE) it has pages already, which would be read and written without a fault.
    ::munlock(spare.get(), range.size());
    ::madvise(spare.get(), range.size(), MADV_DONTNEED);
    // A child would have zeros there; a hole is at least noticed.
    ::madvise(spare.get(), range.size(), MADV_DONTFORK);
    if (!state_->watch(spare.get(), range.size(), UFFDIO_REGISTER_MODE_MISSING))
        return no_room(errno, range, "UFFDIO_REGISTER");
    if (auto moved = move_over(range, spare.get(), file); !moved) return moved;
    spare.moved();
    return {};
}

Result<void> Userfault::hold_writes(std::span<std::byte> range, const FileRange& file) {
    if (!can_hold_writes())
        return make_error(Code::unsupported, fmt::format("holding back writes to {}", describe(range)),
                          "the kernel tracks no writes to shared memory");
    Spare spare(map(nullptr, range.size(), MAP_SHARED, file), range.size());
    if (!spare) return no_room(errno, range, "mmap");
    ::madvise(spare.get(), range.size(), MADV_DONTFORK);
    if (!state_->watch(spare.get(), range.size(), UFFDIO_REGISTER_MODE_WP))
        return Error{Code::unsupported, errno, fmt::format("holding back writes to {}", describe(range)),
                     "UFFDIO_REGISTER; the kernel tracks writes to memfds only, not to dma-bufs"};
    struct uffdio_writeprotect request{};
    request.range = {reinterpret_cast<std::uintptr_t>(spare.get()), range.size()};
    request.mode = UFFDIO_WRITEPROTECT_MODE_WP;
    if (retry_ioctl(state_->fd.get(), UFFDIO_WRITEPROTECT, &request) < 0)
        return no_room(errno, range, "UFFDIO_WRITEPROTECT");
    if (auto moved = move_over(range, spare.get(), file); !moved) return moved;
    spare.moved();
    // Those that waited for anything at all may read now; writers come back.
    wake(range);
    return {};
}

Result<void> Userfault::let_go(std::span<std::byte> range, const FileRange& file) {
    if (map(range.data(), range.size(), MAP_SHARED | MAP_FIXED | MAP_POPULATE, file) == MAP_FAILED)
        return no_room(errno, range, "mmap of the buffer's file");
    wake(range);
    return {};
}

void Userfault::wake(std::span<std::byte> range) noexcept {
    struct uffdio_range all{reinterpret_cast<std::uintptr_t>(range.data()), range.size()};
    ::ioctl(state_->fd.get(), UFFDIO_WAKE, &all);
}

void Userfault::forget_in_child() noexcept {
    ::close(state_->fd.get());
    ::close(state_->stop.get());
}

Result<void> protect(std::span<std::byte> range, Allowed allowed) {
    const int bits = (allowed.reading ? PROT_READ : 0) | (allowed.writing ? PROT_WRITE : 0);
    if (::mprotect(range.data(), range.size(), bits) == 0) return {};
    return error_from_errno(errno, fmt::format("protecting {}", describe(range)),
                            "mprotect; the limit of mappings (vm.max_map_count) may be exhausted");
}

bool forbid(std::span<std::byte> range) noexcept {
    return ::mmap(range.data(), range.size(), PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

} // namespace share::os
