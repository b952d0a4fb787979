// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include <share/import.hpp>
#include <share/sigbus_guard.hpp>

#include "os/guard_entry.hpp"
#include "process.hpp"

using namespace share;

namespace {

UniqueFd memfd(std::uint64_t size, int seals = 0) {
    UniqueFd fd(memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(fd);
    REQUIRE(ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    if (seals != 0) REQUIRE(fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    return fd;
}

} // namespace

TEST_CASE("only memory is imported, everything else is refused by name and nothing leaks", "[import]") {
    const testing::TempDir dir;
    const auto before = testing::count_fds();
    const auto refuse = [](int raw, Code code, const char* word) {
        auto memory = import_fd(UniqueFd(raw), {.accept_shrinkable = true});
        REQUIRE_FALSE(memory);
        CHECK(memory.error().code == code);
        CHECK(memory.error().text().find(word) != std::string::npos);
    };
    int pair[2];
    REQUIRE(pipe2(pair, O_CLOEXEC) == 0);
    refuse(pair[0], Code::unsupported, "pipe");
    close(pair[1]);
    refuse(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), Code::unsupported, "socket");
    refuse(eventfd(0, EFD_CLOEXEC), Code::unsupported, "anonymous");
    refuse(open("/dev/zero", O_RDWR | O_CLOEXEC), Code::unsupported, "character device");
    refuse(open("/proc/self/maps", O_RDONLY | O_CLOEXEC), Code::unsupported, "a file of /proc");
    refuse(open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC), Code::unsupported, "directory");
    refuse(-1, Code::invalid_argument, "fd -1");
    {
        const UniqueFd good = memfd(4096);
        refuse(open(("/proc/self/fd/" + std::to_string(good.get())).c_str(), O_PATH | O_CLOEXEC),
               Code::invalid_argument, "O_PATH");
    }
    const std::string fifo = "/dev/shm/share-test-fifo-" + std::to_string(getpid());
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    refuse(open(fifo.c_str(), O_RDWR | O_CLOEXEC), Code::unsupported, "pipe");
    unlink(fifo.c_str());
    CHECK(testing::count_fds() == before);
}

TEST_CASE("a sealed memfd is imported, an unsealed one only by those who can guard it", "[import]") {
    auto sealed = import_fd(memfd(8192, F_SEAL_SHRINK));
    REQUIRE(sealed);
    CHECK_FALSE((*sealed)->traits().can_shrink);
    CHECK((*sealed)->traits().kind == MemoryKind::memfd);
    CHECK((*sealed)->heap() == "imported");

    auto unsealed = import_fd(memfd(8192));
    REQUIRE_FALSE(unsealed);
    CHECK(unsealed.error().text().find("F_SEAL_SHRINK") != std::string::npos);
    auto guarded = import_fd(memfd(8192), {.accept_shrinkable = true});
    REQUIRE(guarded);
    CHECK((*guarded)->traits().can_shrink);
    auto sealed_by_us = import_fd(memfd(8192), {.may_seal = true});
    REQUIRE(sealed_by_us);
    CHECK_FALSE((*sealed_by_us)->traits().can_shrink);
    CHECK(ftruncate((*sealed_by_us)->fd(), 0) < 0);
}

TEST_CASE("huge pages in which the owner can punch holes are memory that can lose pages", "[import]") {
    const auto huge = [](int seals) {
        UniqueFd fd(memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_ALLOW_SEALING));
        if (!fd) SKIP("this kernel makes no hugetlb memfd");
        REQUIRE(ftruncate(fd.get(), 2 << 20) == 0);
        REQUIRE(fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
        return fd;
    };
    auto refused = import_fd(huge(F_SEAL_SHRINK | F_SEAL_GROW));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("F_SEAL_WRITE") != std::string::npos);
    auto guarded = import_fd(huge(F_SEAL_SHRINK), {.accept_shrinkable = true});
    REQUIRE(guarded);
    CHECK((*guarded)->traits().can_shrink);
    auto fixed = import_fd(huge(F_SEAL_SHRINK | F_SEAL_WRITE));
    REQUIRE(fixed);
    CHECK_FALSE((*fixed)->traits().can_shrink);
}

TEST_CASE("an import that is too small, or of a kind that was not asked for, is refused", "[import]") {
    CHECK_FALSE(import_fd(memfd(4096, F_SEAL_SHRINK), {.min_size = 4097}));
    CHECK_FALSE(import_fd(memfd(0, F_SEAL_SHRINK)));
    CHECK_FALSE(import_fd(memfd(4096, F_SEAL_SHRINK), {.accept_memfd = false}));
}

TEST_CASE("read-only memory maps for reading and refuses writing", "[import]") {
    SECTION("by the fd") {
        UniqueFd writable = memfd(4096, F_SEAL_SHRINK);
        UniqueFd fd(open(("/proc/self/fd/" + std::to_string(writable.get())).c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(fd);
        CHECK_FALSE(import_fd(UniqueFd(dup(fd.get())), {.need_write = true}));
        auto memory = import_fd(std::move(fd));
        REQUIRE(memory);
        CHECK((*memory)->view(Access::read));
        auto refused = (*memory)->view(Access::write);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::denied);
    }
    SECTION("by a seal") {
        auto memory = import_fd(memfd(4096, F_SEAL_SHRINK | F_SEAL_WRITE));
        REQUIRE(memory);
        CHECK((*memory)->view(Access::read));
        CHECK_FALSE((*memory)->view(Access::read_write));
    }
}

TEST_CASE("a tmpfs file is memory that can shrink", "[import]") {
    const std::string path = "/dev/shm/share-test-" + std::to_string(getpid());
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    REQUIRE(fd);
    unlink(path.c_str());
    REQUIRE(ftruncate(fd.get(), 4096) == 0);
    auto facts = inspect_fd(fd.get());
    REQUIRE(facts);
    CHECK(facts->kind == MemoryKind::tmpfs);
    CHECK(facts->size == 4096);
    CHECK_FALSE(import_fd(std::move(fd)));
}

TEST_CASE("two fds of one file have one inode", "[import]") {
    const UniqueFd a = memfd(4096, F_SEAL_SHRINK);
    const UniqueFd b(dup(a.get()));
    const UniqueFd c = memfd(4096, F_SEAL_SHRINK);
    CHECK(inspect_fd(a.get())->inode == inspect_fd(b.get())->inode);
    CHECK_FALSE(inspect_fd(a.get())->inode == inspect_fd(c.get())->inode);
}

TEST_CASE("a System V segment is imported when it is ours, private and large enough", "[import][sysv]") {
    const int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
    REQUIRE(id >= 0);
    {
        auto memory = import_sysv(id);
        REQUIRE(memory);
        CHECK((*memory)->size() == 8192);
        auto view = (*memory)->view(Access::read_write);
        REQUIRE(view);
        (*view)[0] = std::byte{1};
    }
    CHECK_FALSE(import_sysv(id, {.min_size = 8193}));
    struct shmid_ds ds{};
    REQUIRE(shmctl(id, IPC_STAT, &ds) == 0);
    CHECK(ds.shm_nattch == 0);
    ds.shm_perm.mode = 0666;
    REQUIRE(shmctl(id, IPC_SET, &ds) == 0);
    auto open_to_all = import_sysv(id);
    REQUIRE_FALSE(open_to_all);
    CHECK(open_to_all.error().code == Code::denied);
    shmctl(id, IPC_RMID, nullptr);
    CHECK_FALSE(import_sysv(id));
    CHECK_FALSE(import_sysv(-1));
}

TEST_CASE("a guarded read of a truncated file gives zeros and says so, and the process lives", "[sigbus]") {
    REQUIRE(install_sigbus_guard());
    REQUIRE(install_sigbus_guard());
    UniqueFd fd = memfd(64 * 4096);
    auto memory = import_fd(UniqueFd(dup(fd.get())), {.accept_shrinkable = true});
    REQUIRE(memory);
    auto view = (*memory)->view(Access::read_write);
    REQUIRE(view);
    std::memset(view->data(), 0x77, view->size());
    {
        auto guard = GuardedRegion::create(*view);
        REQUIRE(guard);
        CHECK(static_cast<unsigned char>((*view)[63 * 4096]) == 0x77);
        CHECK_FALSE(guard->tripped());
        REQUIRE(ftruncate(fd.get(), 10 * 4096) == 0);
        volatile std::byte* bytes = view->data();
        CHECK(static_cast<unsigned char>(bytes[9 * 4096]) == 0x77);
        CHECK_FALSE(guard->tripped());
        CHECK(static_cast<unsigned char>(bytes[40 * 4096 + 5]) == 0);
        CHECK(guard->tripped());
        CHECK(static_cast<unsigned char>(bytes[9 * 4096]) == 0x77); // what is still there stays
        CHECK(static_cast<unsigned char>(bytes[63 * 4096]) == 0);
    }
    auto fresh = GuardedRegion::create(*view);
    REQUIRE(fresh);
    CHECK_FALSE(fresh->tripped());
}

TEST_CASE("guards work from any thread and for several regions at a time", "[sigbus]") {
    REQUIRE(install_sigbus_guard());
    std::vector<std::thread> threads;
    std::atomic<int> tripped{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 20; ++i) {
                const UniqueFd fd(memfd_create("peer", MFD_CLOEXEC));
                if (ftruncate(fd.get(), 8 * 4096) < 0) return;
                void* address = mmap(nullptr, 8 * 4096, PROT_READ, MAP_SHARED, fd.get(), 0);
                const std::span bytes(static_cast<const std::byte*>(address), 8 * 4096);
                auto guard = GuardedRegion::create(bytes);
                if (ftruncate(fd.get(), 0) < 0) return;
                const volatile std::byte* read = bytes.data();
                (void)read[4096 * 3];
                if (guard && guard->tripped()) ++tripped;
                munmap(address, 8 * 4096);
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    CHECK(tripped == 80);
}

TEST_CASE("guards that come and go on one thread never widen what a fault on another replaces", "[sigbus]") {
    REQUIRE(install_sigbus_guard());
    constexpr std::size_t page = 4096;
    const auto at = [](std::byte* base, std::size_t n) {
        return std::span<const std::byte>(base + n * page, page);
    };
    // Pages: 0 and 8 are guarded in turn, 2 is read and missing, 4 lies between and belongs to nobody's
    // guard.
    auto* base = static_cast<std::byte*>(
        mmap(nullptr, 9 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REQUIRE(base != MAP_FAILED);
    base[4 * page] = std::byte{0x5a};
    UniqueFd empty(memfd_create("empty", MFD_CLOEXEC));
    const auto lose = [&] {
        return mmap(base + 2 * page, page, PROT_READ, MAP_SHARED | MAP_FIXED, empty.get(), 0) != MAP_FAILED;
    };
    // The reader's guard comes after the other thread's in the table, so that the handler meets that first.
    auto place = GuardedRegion::create(at(base, 0));
    auto guard = GuardedRegion::create(at(base, 2));
    REQUIRE((place && guard && lose()));
    *place = std::move(*GuardedRegion::create(at(base, 8)));
    std::atomic<bool> stop{false};
    std::thread churn([&] {
        for (std::size_t n = 0; !stop; n = 8 - n)
            (void)GuardedRegion::create(at(base, n));
    });
    bool kept = true;
    for (int i = 0; i < 50'000 && kept; ++i) {
        volatile std::byte* missing = base + 2 * page;
        kept = *missing == std::byte{0} && base[4 * page] == std::byte{0x5a} && lose();
    }
    stop = true;
    churn.join();
    CHECK(kept);
    munmap(base, 9 * page);
}

TEST_CASE("a guard that is read while it is written is nobody's, never half of the old and half of the new",
          "[sigbus]") {
    os::GuardEntry entry;
    entry.write({100, 200});
    const auto old = entry.read();
    REQUIRE(old);
    CHECK((old->range.begin == 100 && old->range.end == 200));
    CHECK_FALSE(entry.read([&] { entry.write({1000, 2000}); }));
    CHECK_FALSE(entry.read([&] { entry.write({}); }));
    CHECK_FALSE(entry.read([&] { entry.generation += 1; })); // the writer was stopped in the middle
    CHECK_FALSE(entry.read());
}

TEST_CASE("a guard whose pages were replaced for another's fault has tripped as well", "[sigbus]") {
    REQUIRE(install_sigbus_guard());
    constexpr std::size_t page = 4096;
    const UniqueFd fd = memfd(4 * page);
    auto* base = static_cast<std::byte*>(mmap(nullptr, 4 * page, PROT_READ, MAP_SHARED, fd.get(), 0));
    REQUIRE(base != MAP_FAILED);
    {
        auto all = GuardedRegion::create({base, 4 * page});
        auto last = GuardedRegion::create({base + 3 * page, page});
        auto first = GuardedRegion::create({base, page});
        REQUIRE((all && last && first));
        REQUIRE(ftruncate(fd.get(), page) == 0);
        const volatile std::byte* bytes = base;
        CHECK(bytes[page] == std::byte{0});
        CHECK(all->tripped());
        CHECK(last->tripped());
        CHECK_FALSE(first->tripped());
    }
    munmap(base, 4 * page);
}

TEST_CASE("the table of guards has an end, and an ended guard frees its place", "[sigbus]") {
    REQUIRE(install_sigbus_guard());
    static const std::byte byte{};
    std::vector<GuardedRegion> guards;
    for (std::size_t i = 0; i < GuardedRegion::capacity; ++i) {
        auto guard = GuardedRegion::create({&byte, 1});
        REQUIRE(guard);
        guards.push_back(std::move(*guard));
    }
    auto full = GuardedRegion::create({&byte, 1});
    REQUIRE_FALSE(full);
    CHECK(full.error().code == Code::limit);
    guards.pop_back();
    CHECK(GuardedRegion::create({&byte, 1}));
}

TEST_CASE("a SIGBUS outside every guard still ends the process", "[sigbus]") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SKIP("sanitizers report the signal themselves");
#endif
    REQUIRE(install_sigbus_guard());
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(10);
        const int fd = memfd_create("peer", MFD_CLOEXEC);
        const volatile char* bytes =
            static_cast<const char*>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
        _exit(bytes[0] + 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGBUS);
}
