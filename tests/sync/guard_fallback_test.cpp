// SPDX-License-Identifier: MIT
// Guards where the system refuses userfaultfd, as containers do: in children with a seccomp filter.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include <share/guard.hpp>
#include <share/import.hpp>
#include <share/pool.hpp>

#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Ended {
    int exit = -1, signal = 0;
    std::string err;
};

/// From now on userfaultfd(2) fails with that errno, in this process.
bool refuse_userfaultfd(int os_errno) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), // the number of the system call
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(os_errno)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program{4, rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/// Runs `body` in a child without userfaultfd; 77 where filters cannot be had.
Ended without_userfaultfd(int os_errno, const std::function<int()>& body) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL); // not the test framework's
        _exit(refuse_userfaultfd(os_errno) ? body() : 77);
    }
    close(ends[1]);
    Ended ended;
    char bytes[512];
    for (ssize_t got = 0; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
        ended.err.append(bytes, static_cast<std::size_t>(got));
    close(ends[0]);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) ended.exit = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
    if (ended.exit == 77) SKIP("seccomp filters");
    return ended;
}

int complain(const Error& error) {
    const auto text = error.text() + "\n";
    (void)!write(STDERR_FILENO, text.data(), text.size());
    return 1;
}

struct Frame {
    Frame()
        : heaps(HeapTable::probe()),
          pool(Pool::create(*heaps.find("memfd").value(), Layout::linear(64, 64, format::xrgb8888).value(), 1,
                            "fallback test")
                   .value()),
          buffer(pool.buffer(0)),
          words(reinterpret_cast<volatile std::uint32_t*>(
              pool.memory()->view(Access::read_write).value().data())) {}
    HeapTable heaps;
    Pool pool;
    std::shared_ptr<Buffer> buffer;
    volatile std::uint32_t* words;
};

} // namespace

#ifdef __SANITIZE_THREAD__
#define SKIP_UNDER_TSAN() SKIP("ThreadSanitizer lets no child of a program with threads start one")
#else
#define SKIP_UNDER_TSAN() (void)0
#endif

TEST_CASE("without userfaultfd and without the reporter there is no guard, and the error says what to do") {
    const int os_errno = GENERATE(EPERM, ENOSYS);
    const Frame frame;
    const auto ended = without_userfaultfd(os_errno, [&] {
        const auto guard = Guard::create(frame.buffer);
        return guard ? 2 : complain(guard.error());
    });
    CHECK(ended.exit == 1);
    CHECK_THAT(ended.err, ContainsSubstring("userfaultfd"));
    CHECK_THAT(ended.err, ContainsSubstring("install_guard_reporter()"));
    CHECK_THAT(ended.err, ContainsSubstring("seccomp"));
}

TEST_CASE(
    "without userfaultfd a wrong access ends the process, after a report that names buffer and holder") {
    SKIP_UNDER_TSAN();
    const bool writing = GENERATE(true, false);
    const Frame frame;
    const auto ended = without_userfaultfd(EPERM, [&] {
        if (auto installed = install_guard_reporter(); !installed) return complain(installed.error());
        auto guard = Guard::create(frame.buffer);
        if (!guard) return complain(guard.error());
        if (guard->means() != GuardMeans::mprotect || !guard->fallback_reason()) return 3;
        frame.words[5] = 1; // nobody has it
        {
            auto attachment = frame.buffer->attach(Access::read, "the first device", Deadline::none());
            if (!attachment) return complain(attachment.error());
        }
        if (frame.words[5] != 1) return 4;
        {
            auto mapping = frame.buffer->map(Access::write, Deadline::none());
            if (!mapping) return complain(mapping.error());
            std::memset(mapping->plane(0).data(), 2, mapping->plane(0).size());
        }
        auto attachment = frame.buffer->attach(Access::write, "vivid", Deadline::none());
        if (!attachment) return complain(attachment.error());
        if (writing) frame.words[1024] = 3;
        return static_cast<int>(frame.words[1024]);
    });
    CHECK(ended.signal == SIGSEGV);
    CHECK_THAT(ended.err, ContainsSubstring("byte 0x1000 of the 64x64 XR24 buffer in memfd 'fallback test'"));
    CHECK_THAT(ended.err, ContainsSubstring("while it belongs to vivid"));
#ifdef __x86_64__
    CHECK_THAT(ended.err, ContainsSubstring(writing ? "a write to" : "a read of"));
#endif
}

TEST_CASE("without userfaultfd, mode report tells of a wrong access and lets it through") {
    SKIP_UNDER_TSAN();
    const Frame frame;
    const auto ended = without_userfaultfd(ENOSYS, [&] {
        if (auto installed = install_guard_reporter(); !installed) return complain(installed.error());
        GuardOptions options;
        options.mode = GuardMode::report;
        options.report = [](const GuardReport&) {};
        auto guard = Guard::create(frame.buffer, options);
        if (!guard) return complain(guard.error());
        for (const auto* who : {"the first device", "the second device"}) {
            auto attachment = frame.buffer->attach(Access::read, who, Deadline::none());
            if (!attachment) return complain(attachment.error());
            frame.words[0] = frame.words[0] + 1;
            frame.words[1] = 9;
        }
        return frame.words[0] == 2 ? 0 : 4;
    });
    CHECK(ended.exit == 0);
    CHECK_THAT(ended.err, ContainsSubstring("while it belongs to the first device"));
    CHECK_THAT(ended.err, ContainsSubstring("while it belongs to the second device"));
}

TEST_CASE("too few fds for a guard are an error of their own, and no reason for another means") {
    SKIP_UNDER_TSAN();
    const Frame frame;
    if (auto guard = Guard::create(frame.buffer); !guard) SKIP("userfaultfd: " << guard.error().text());
    const int left = GENERATE(0, 1); // for the userfaultfd; for the eventfd beside it
    const pid_t child = fork();
    if (child == 0) {
        if (!install_guard_reporter()) _exit(2);
        const int lowest = dup(STDERR_FILENO);
        close(lowest);
        struct rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        const auto before = std::exchange(limit.rlim_cur, static_cast<rlim_t>(lowest + left));
        setrlimit(RLIMIT_NOFILE, &limit);
        {
            const auto guard = Guard::create(frame.buffer);
            if (guard) _exit(3);
            if (guard.error().code != Code::limit) _exit(4);
        }
        limit.rlim_cur = before;
        setrlimit(RLIMIT_NOFILE, &limit);
        const auto guard = Guard::create(frame.buffer);
        _exit(guard && guard->means() == GuardMeans::userfaultfd ? 0 : 5);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("without userfaultfd, mode report: what was hidden at a fork ends a child that touches it") {
    SKIP_UNDER_TSAN();
    const Frame frame;
    const auto ended = without_userfaultfd(ENOSYS, [&] {
        if (auto installed = install_guard_reporter(); !installed) return complain(installed.error());
        GuardOptions options;
        options.mode = GuardMode::report;
        options.report = [](const GuardReport&) {};
        auto guard = Guard::create(frame.buffer, options);
        if (!guard) return complain(guard.error());
        auto attachment = frame.buffer->attach(Access::read, "a device", Deadline::none());
        if (!attachment) return complain(attachment.error());
        const pid_t child = fork();
        if (child == 0) {
            frame.words[0] = 5;
            _exit(0);
        }
        int status = -1;
        if (waitpid(child, &status, 0) != child) return 3;
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) return 4;
        frame.words[0] = 6; // its parent's is let through as before
        return frame.words[0] == 6 ? 0 : 5;
    });
    INFO(ended.err);
    CHECK(ended.exit == 0);
}

TEST_CASE("without userfaultfd, mode report: memory that can only be read is let through to readers alone") {
    SKIP_UNDER_TSAN();
#ifndef __x86_64__
    SKIP("a processor that tells reads from writes");
#endif
    const bool writing = GENERATE(true, false);
    const Frame frame;
    const auto path = "/proc/self/fd/" + std::to_string(frame.pool.memory()->fd());
    auto memory = import_fd(UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC)));
    if (!memory) FAIL(memory.error().text());
    const auto buffer = Buffer::create(*memory, 0, frame.buffer->layout()).value();
    const auto ended = without_userfaultfd(ENOSYS, [&] {
        if (auto installed = install_guard_reporter(); !installed) return complain(installed.error());
        GuardOptions options;
        options.mode = GuardMode::report;
        options.report = [](const GuardReport&) {};
        auto guard = Guard::create(buffer, options);
        if (!guard) return complain(guard.error());
        auto view = (*memory)->view(Access::read);
        if (!view) return complain(view.error());
        auto* words = reinterpret_cast<volatile std::uint32_t*>(view->data());
        auto attachment = buffer->attach(Access::read, "a device", Deadline::none());
        if (!attachment) return complain(attachment.error());
        if (writing) words[0] = 1;
        return words[0] == 0 ? 0 : 3;
    });
    INFO(ended.err);
    CHECK(ended.signal == (writing ? SIGSEGV : 0));
    CHECK(ended.exit == (writing ? -1 : 0));
    CHECK_THAT(ended.err, ContainsSubstring("while it belongs to a device"));
}
