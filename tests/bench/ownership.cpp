// SPDX-License-Identifier: MIT
// What a hold costs: attach and release inside a process, and across two, beside the bare system calls that
// lock and unlock. "Across two" has another process that has shared the ownership too and holds other bytes.
#include <fcntl.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <mutex>

#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/import.hpp>
#include <share/ownership.hpp>

#include "bench.hpp"

using namespace share;

namespace {

constexpr int turns = 20'000;

struct flock whole(short type) {
    struct flock lock{};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_len = 4096;
    return lock;
}

void bare(int fd, short type) {
    for (int i = 0; i < turns; ++i) {
        auto lock = whole(type), unlock = whole(F_UNLCK);
        if (::fcntl(fd, F_OFD_SETLK, &lock) != 0 || ::fcntl(fd, F_OFD_SETLK, &unlock) != 0) std::abort();
    }
}

void holds(Buffer& buffer, Access access) {
    for (int i = 0; i < turns; ++i) {
        auto attachment = buffer.attach(access, "bench", Deadline::none());
        if (!attachment) std::abort();
    }
}

/// From a write mapping to a consumer in another description: downgrade, its lock, and both releases.
void hand_overs(Buffer& buffer) {
    for (int i = 0; i < turns; ++i) {
        auto mapping = buffer.map(Access::write, Deadline::none());
        if (!mapping || !mapping->hand_over("bench")) std::abort();
    }
}

void bare_hand_overs(int fd) {
    for (int i = 0; i < turns; ++i) {
        auto write = whole(F_WRLCK), read = whole(F_RDLCK), unlock = whole(F_UNLCK);
        if (::fcntl(fd, F_OFD_SETLK, &write) != 0 || ::fcntl(fd, F_OFD_SETLK, &read) != 0 ||
            ::fcntl(fd, F_OFD_SETLK, &unlock) != 0)
            std::abort();
    }
}

std::shared_ptr<Buffer> buffer_at(const std::shared_ptr<Memory>& memory, std::uint64_t offset) {
    return Buffer::create(memory, offset, Layout::linear(32, 32, format::xrgb8888).value()).value();
}

} // namespace

int main() {
    auto table = HeapTable::probe();
    auto memory = (*table.find("memfd"))->allocate(8192, "bench").value();
    int ready[2];
    if (::pipe(ready) != 0) return 1;
    const pid_t peer = ::fork();
    if (peer == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        auto received = import_fd(UniqueFd(::dup(memory->fd()))).value();
        auto theirs = buffer_at(received, 4096);
        if (!share_ownership(*theirs)) return 1;
        auto held = theirs->attach(Access::read, "peer", Deadline::none());
        if (!held || ::write(ready[1], "r", 1) != 1) return 1;
        ::pause();
    }
    ::close(ready[1]); // so that a peer that failed is the end of the file
    char byte = 0;
    if (::read(ready[0], &byte, 1) != 1) return 1;

    auto alone = buffer_at((*table.find("memfd"))->allocate(4096, "bench").value(), 0),
         shared = buffer_at(memory, 0);
    if (auto done = share_ownership(*shared); !done) {
        std::fprintf(stderr, "%s\n", done.error().text().c_str());
        return 1;
    }
    const UniqueFd fd(::open(fmt::format("/proc/self/fd/{}", memory->fd()).c_str(), O_RDWR | O_CLOEXEC));
    const auto cost = bench::rounds({[&] { bare(fd.get(), F_RDLCK); }, [&] { holds(*alone, Access::read); },
                                     [&] { holds(*shared, Access::read); }, [&] { bare(fd.get(), F_WRLCK); },
                                     [&] { holds(*shared, Access::write); },
                                     [&] { bare_hand_overs(fd.get()); }, [&] { hand_overs(*shared); }},
                                    9);
    bench::print_value("bare lock and unlock",
                       fmt::format("{:.2f} us", bench::spread(cost[0]).median / turns * 1e6));
    bench::print_ratio("attach and release, one process", "bare lock and unlock", cost[1], cost[0], 1.5);
    bench::print_ratio("attach and release, two processes, reading", "bare read lock and unlock", cost[2],
                       cost[0], 1.5);
    bench::print_ratio("attach and release, two processes, writing", "bare write lock and unlock", cost[4],
                       cost[3], 1.5);
    bench::print_ratio("write, hand over, release, two processes", "bare lock, downgrade, unlock", cost[6],
                       cost[5], 0);
    ::kill(peer, SIGKILL);
    ::waitpid(peer, nullptr, 0);
    return 0;
}
