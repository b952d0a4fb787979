// SPDX-License-Identifier: MIT
// What a guard is built on: ranges of a memfd's mapping that are taken from the CPU and given back, alone.
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "process.hpp"
#include "sync/screen.hpp"

using namespace share;
using namespace share::detail;

namespace {

constexpr std::size_t page = 4096;

/// Relaxed: ThreadSanitizer holds a lock of its own during any stricter access, and so while that waits.
class Word {
public:
    explicit Word(std::uint64_t& word) : word_(word) {}
    operator std::uint64_t() const { return word_.load(std::memory_order_relaxed); }
    void operator=(std::uint64_t value) const { word_.store(value, std::memory_order_relaxed); }

private:
    std::atomic_ref<std::uint64_t> word_;
};

/// One memfd with one big mapping, of which screens get parts: as a pool's buffers are.
struct Mapped {
    explicit Mapped(std::size_t pages) : size(pages * page) {
        file.reset(memfd_create("guarded", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        REQUIRE(ftruncate(file.get(), static_cast<off_t>(size)) == 0);
        all = map();
    }
    ~Mapped() {
        munmap(all, size);
        if (other) munmap(other, size);
    }
    std::byte* map() const {
        void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
        REQUIRE(at != MAP_FAILED);
        return static_cast<std::byte*>(at);
    }
    /// The same bytes where no screen stands: what a device sees.
    Word device(std::size_t at_page, std::size_t word = 0) {
        if (!other) other = map();
        return Word(reinterpret_cast<std::uint64_t*>(other + at_page * page)[word]);
    }
    Word cpu(std::size_t at_page, std::size_t word = 0) const {
        return Word(reinterpret_cast<std::uint64_t*>(all + at_page * page)[word]);
    }
    std::span<std::byte> pages(std::size_t first, std::size_t count) const {
        return {all + first * page, count * page};
    }
    os::FileRange from(std::size_t first) const { return {file.get(), first * page, Access::read_write}; }

    std::size_t size;
    UniqueFd file;
    std::byte *all = nullptr, *other = nullptr;
};

struct Heard final : os::Userfault::Listener {
    void held(const os::HeldAccess& access) noexcept override {
        const std::lock_guard guard(lock);
        last = access;
        ++count;
    }
    os::HeldAccess seen() {
        const std::lock_guard guard(lock);
        return last;
    }
    std::mutex lock;
    os::HeldAccess last;
    std::atomic<int> count{0};
};

std::unique_ptr<Screen> screen_over(const Mapped& mapped, std::size_t first, std::size_t count, Heard& heard,
                                    Means means = Means::userfaultfd) {
    auto made = Screen::create(mapped.pages(first, count), mapped.from(first), page, means, heard);
    if (!made && means == Means::userfaultfd &&
        (made.error().code == Code::denied || made.error().code == Code::unsupported))
        SKIP("userfaultfd: " << made.error().text());
    if (!made) FAIL(made.error().text());
    return std::move(*made);
}

void must(const Result<void>& result) {
    if (!result) FAIL(result.error().text());
}

std::size_t threads_of_this_process() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
        ++count;
    return count;
}

} // namespace

TEST_CASE("threads that hammer all pages lose no write while their memory is taken and given back") {
    constexpr std::size_t pages = 64, writers = 3;
    constexpr int cycles = 300;
    const auto fds = testing::count_fds();
    {
        Mapped mapped(pages + 2);
        Heard heard;
        const auto screen = screen_over(mapped, 1, pages, heard);
        std::atomic<bool> stop{false};
        std::array<std::uint64_t, writers> written{};
        std::vector<std::thread> threads;
        for (std::size_t w = 0; w < writers; ++w)
            threads.emplace_back([&, w] {
                // A word of its own in every page, counted up: a lost write leaves a smaller number.
                for (std::uint64_t turn = 1; !stop.load(std::memory_order_relaxed); ++turn) {
                    for (std::size_t p = 1; p <= pages; ++p)
                        mapped.cpu(p, w) = turn;
                    written[w] = turn;
                }
            });
        std::uint64_t changed_while_taken = 0;
        for (int cycle = 0; cycle < cycles; ++cycle) {
            must(screen->show(Shown::nothing));
            std::array<std::uint64_t, writers> before{};
            for (std::size_t w = 0; w < writers; ++w)
                before[w] = mapped.device(1, w);
            std::this_thread::yield();
            for (std::size_t w = 0; w < writers; ++w)
                if (mapped.device(1, w) != before[w]) ++changed_while_taken;
            must(screen->show(Shown::all));
        }
        stop = true;
        for (auto& thread : threads)
            thread.join();
        std::uint64_t lost = 0, writes = 0;
        for (std::size_t w = 0; w < writers; ++w) {
            writes += written[w] * pages;
            for (std::size_t p = 1; p <= pages; ++p)
                if (mapped.device(p, w) != written[w]) ++lost;
        }
        UNSCOPED_INFO(cycles << " cycles, " << writes << " writes, " << heard.count << " held");
        CHECK(lost == 0);
        CHECK(changed_while_taken == 0);
        CHECK(writes > 0);
        CHECK(heard.count > 0);
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("a read of taken memory waits, and returns what was written meanwhile") {
    Mapped mapped(4);
    Heard heard;
    const auto screen = screen_over(mapped, 1, 2, heard);
    mapped.cpu(2) = 1;
    must(screen->show(Shown::nothing));
    std::atomic<std::uint64_t> got{0};
    std::thread reader([&] { got = mapped.cpu(2); });
    REQUIRE(testing::eventually([&] { return heard.count > 0; }));
    CHECK(heard.seen().address / page == reinterpret_cast<std::uintptr_t>(mapped.all) / page + 2);
    CHECK_FALSE(heard.seen().write);
    CHECK(heard.seen().thread > 0);
    CHECK(got == 0);
    mapped.device(2) = 42;
    must(screen->show(Shown::all));
    reader.join();
    CHECK(got == 42);
}

TEST_CASE("two screens in one mapping are independent, and what lies beside them is untouched") {
    Mapped mapped(6);
    Heard first_heard, second_heard;
    const auto first = screen_over(mapped, 1, 2, first_heard);
    const auto second = screen_over(mapped, 3, 2, second_heard);
    must(first->show(Shown::nothing));
    for (const std::size_t beside : {0U, 3U, 5U})
        mapped.cpu(beside) = 7;
    must(second->show(Shown::nothing));
    mapped.cpu(5, 1) = 8;
    std::thread one([&] { mapped.cpu(1) = 1; });
    std::thread two([&] { mapped.cpu(4) = 2; });
    CHECK(testing::eventually([&] { return first_heard.count > 0 && second_heard.count > 0; }));
    must(second->show(Shown::all));
    two.join();
    CHECK(mapped.device(4) == 2);
    CHECK(mapped.device(1) == 0);
    must(first->show(Shown::all));
    one.join();
    CHECK(mapped.device(1) == 1);
    CHECK(mapped.device(3) == 7);
    CHECK(mapped.device(5, 1) == 8);
}

TEST_CASE("parts of pages and pages that another screen has are refused") {
    Mapped mapped(4);
    Heard heard;
    const auto screen = screen_over(mapped, 1, 2, heard);
    const auto refusal = [&](std::span<std::byte> bytes, std::size_t offset) {
        const auto made = Screen::create(bytes, {mapped.file.get(), offset, Access::read_write}, page,
                                         Means::userfaultfd, heard);
        REQUIRE_FALSE(made);
        return made.error().code;
    };
    CHECK(refusal({mapped.all + 16, page}, 0) == Code::invalid_argument);
    CHECK(refusal({mapped.all, page - 16}, 0) == Code::invalid_argument);
    CHECK(refusal({mapped.all, page}, 512) == Code::invalid_argument);
    CHECK(refusal({mapped.all, 0}, 0) == Code::invalid_argument);
    CHECK(refusal(mapped.pages(0, 2), 0) == Code::busy);
    CHECK(refusal(mapped.pages(2, 1), 2 * page) == Code::busy);
}

TEST_CASE("a system call on taken memory fails with EFAULT, and works again afterwards") {
    Mapped mapped(2);
    Heard heard;
    const auto screen = screen_over(mapped, 0, 1, heard);
    const UniqueFd file(memfd_create("out", MFD_CLOEXEC));
    REQUIRE(pwrite(file.get(), "16 bytes of text", 16, 0) == 16);
    std::ifstream cpuinfo("/proc/cpuinfo");
    const bool user_mode_linux =
        std::string(std::istreambuf_iterator(cpuinfo), {}).find("User Mode Linux") != std::string::npos;
    for (const bool out : {true, false}) {
        must(screen->show(Shown::nothing));
        std::atomic<bool> done{false};
        ssize_t result = 0;
        int error = 0;
        const int held = heard.count;
        std::thread caller([&] {
            result = out ? pwrite(file.get(), mapped.all, 16, 0) : pread(file.get(), mapped.all, 16, 0);
            error = errno;
            done = true;
        });
        CHECK(testing::eventually([&] { return done || heard.count > held; }));
        const bool waited = !done;
        must(screen->show(Shown::all));
        caller.join();
        CHECK(waited == user_mode_linux); // there the kernel's own accesses count as the program's, and wait
        CHECK(result == (waited ? 16 : -1));
        if (!waited) CHECK(error == EFAULT);
        CHECK(pwrite(file.get(), mapped.all, 16, 0) == 16);
    }
}

TEST_CASE("while only reading is shown, readers go on and a writer waits") {
    Mapped mapped(3);
    Heard heard;
    const auto screen = screen_over(mapped, 1, 1, heard);
    mapped.cpu(1) = 5;
    must(screen->show(Shown::nothing));
    std::atomic<std::uint64_t> got{0};
    std::thread reader([&] { got = mapped.cpu(1); });
    std::thread writer([&] { mapped.cpu(1, 1) = 9; });
    CHECK(testing::eventually([&] { return heard.count > 1; }));
    if (const auto shown = screen->show(Shown::reading); !shown) {
        must(screen->show(Shown::all));
        reader.join();
        writer.join();
        SKIP("tracking of writes to shared memory: " << shown.error().text());
    }
    reader.join();
    CHECK(got == 5);
    CHECK(mapped.cpu(1) == 5);
    CHECK(testing::eventually([&] { return heard.seen().write; }));
    CHECK(mapped.device(1, 1) == 0);
    // Never touched pages too, and from a full view as well.
    must(screen->show(Shown::all));
    writer.join();
    CHECK(mapped.device(1, 1) == 9);
    must(screen->show(Shown::reading));
    const int before = heard.count;
    std::thread late([&] { mapped.cpu(1, 2) = 3; });
    CHECK(testing::eventually([&] { return heard.count > before; }));
    CHECK(mapped.cpu(1, 2) == 0);
    must(screen->show(Shown::all));
    late.join();
    CHECK(mapped.device(1, 2) == 3);
}

TEST_CASE("the end of a screen lets everybody go on, and the last one leaves neither fds nor threads") {
    const auto fds = testing::count_fds();
    const auto threads = threads_of_this_process();
    Mapped mapped(2);
    Heard heard;
    std::thread writer;
    {
        const auto screen = screen_over(mapped, 0, 1, heard);
        must(screen->show(Shown::nothing));
        writer = std::thread([&] { mapped.cpu(0) = 3; });
        CHECK(testing::eventually([&] { return heard.count > 0; }));
    }
    writer.join();
    CHECK(mapped.device(0) == 3);
    CHECK(testing::count_fds() == fds + 1);
    // The kernel takes a thread that was joined off the list a little later.
    CHECK(testing::eventually([&] { return threads_of_this_process() <= threads; }));
}

TEST_CASE("a mapping that is destroyed under a waiting thread: the end of the screen wakes it all the same") {
#ifdef __SANITIZE_THREAD__
    SKIP("ThreadSanitizer lets no child of a program with threads start one");
#endif
    Mapped mapped(2);
    const pid_t child = fork(); // the thread ends in SIGSEGV, as it should
    if (child == 0) {
        Heard heard;
        auto screen = Screen::create(mapped.pages(0, 1), mapped.from(0), page, Means::userfaultfd, heard);
        if (!screen) _exit(77);
        if (!(*screen)->show(Shown::nothing)) _exit(1);
        std::thread writer([&] { mapped.cpu(0) = 3; });
        while (heard.count == 0)
            std::this_thread::yield();
        munmap(mapped.all, page);
        screen->reset(); // maps the file there once more, and wakes
        writer.join();
        _exit(mapped.device(0) == 3 ? 0 : 2);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) SKIP("userfaultfd");
    CHECK(status == 0);
}

TEST_CASE("with mlockall(MCL_FUTURE) memory is held back like any other") {
    Mapped mapped(2);
    Heard heard;
    if (mlockall(MCL_FUTURE) != 0) SKIP("mlockall: the limit of locked memory (ulimit -l)");
    const struct Unlock { // however the case ends
        ~Unlock() { munlockall(); }
    } unlock;
    const auto screen = screen_over(mapped, 0, 1, heard);
    must(screen->show(Shown::nothing));
    std::thread writer([&] { mapped.cpu(0) = 3; });
    CHECK(testing::eventually([&] { return heard.count > 0; }));
    must(screen->show(Shown::all));
    writer.join();
    CHECK(mapped.device(0) == 3);
}

TEST_CASE("a forked child: what was taken ends in SIGSEGV there, what was not is shared, and it leaves its "
          "parent alone") {
    Mapped mapped(4);
    Heard heard;
    const auto fds = testing::count_fds();
    auto taken = screen_over(mapped, 0, 1, heard);
    auto open = screen_over(mapped, 1, 1, heard);
    must(taken->show(Shown::nothing));
    const pid_t well = fork();
    if (well == 0) {
        mapped.cpu(1) = 11;
        if (testing::count_fds() != fds) _exit(2);
        if (open->show(Shown::nothing)) _exit(3);
        taken.reset();
        open.reset();
        _exit(0);
    }
    const pid_t bad = fork();
    if (bad == 0) {
        signal(SIGSEGV, SIG_DFL); // not the test framework's or a sanitizer's
        mapped.cpu(0) = 12;
        _exit(0);
    }
    int status = -1;
    REQUIRE(waitpid(well, &status, 0) == well);
    CHECK(status == 0);
    REQUIRE(waitpid(bad, &status, 0) == bad);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
    std::thread writer([&] { mapped.cpu(0, 1) = 13; });
    CHECK(testing::eventually([&] { return heard.count > 0; }));
    must(taken->show(Shown::all));
    writer.join();
    CHECK(mapped.device(0) == 0);
    CHECK(mapped.device(0, 1) == 13);
    CHECK(mapped.device(1) == 11);
}

TEST_CASE("an unprivileged process can hold accesses back too") {
#ifdef __SANITIZE_THREAD__
    SKIP("ThreadSanitizer lets no child of a program with threads start one");
#endif
    if (geteuid() != 0) SKIP("root: every test runs without privileges here already");
    Mapped mapped(2);
    const pid_t child = fork();
    if (child == 0) {
        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(1);
        Heard heard;
        const auto screen =
            Screen::create(mapped.pages(0, 1), mapped.from(0), page, Means::userfaultfd, heard);
        if (!screen)
            _exit(screen.error().code == Code::denied || screen.error().code == Code::unsupported ? 77 : 2);
        if (!(*screen)->show(Shown::nothing)) _exit(3);
        std::thread writer([&] { mapped.cpu(0) = 3; });
        while (heard.count == 0)
            std::this_thread::yield();
        if (!(*screen)->show(Shown::all)) _exit(4);
        writer.join();
        _exit(mapped.cpu(0) == 3 ? 0 : 5);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) SKIP("userfaultfd");
    CHECK(status == 0);
}
