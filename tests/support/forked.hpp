// SPDX-License-Identifier: MIT
// A forked child that runs a function, and a line of bytes and fds between it and the test. The child is
// killed when the test dies or the object goes. Fork only while the test has one thread.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <optional>
#include <utility>

#include <share/unique_fd.hpp>

namespace testing {

/// One end of a socket pair. A dead other end reads as 0.
class Line {
public:
    explicit Line(share::UniqueFd fd) : fd_(std::move(fd)) {}
    void say(char word, int fd = -1) const {
        char space[CMSG_SPACE(sizeof(int))]{};
        struct iovec bytes{&word, 1};
        struct msghdr message{};
        message.msg_iov = &bytes;
        message.msg_iovlen = 1;
        if (fd >= 0) {
            message.msg_control = space;
            message.msg_controllen = sizeof space;
            auto* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int));
            std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
        }
        (void)!::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    }
    /// The next word, and the fd that came with it; 0 when the other end is gone or silent for 30 s.
    char hear(share::UniqueFd* fd = nullptr) const {
        struct pollfd entry{fd_.get(), POLLIN, 0};
        if (::poll(&entry, 1, 30'000) != 1) return 0;
        char word = 0;
        char space[CMSG_SPACE(sizeof(int))]{};
        struct iovec bytes{&word, 1};
        struct msghdr message{};
        message.msg_iov = &bytes;
        message.msg_iovlen = 1;
        message.msg_control = space;
        message.msg_controllen = sizeof space;
        if (::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC) != 1) return 0;
        if (auto* header = CMSG_FIRSTHDR(&message); header && header->cmsg_type == SCM_RIGHTS) {
            int got = -1;
            std::memcpy(&got, CMSG_DATA(header), sizeof got);
            share::UniqueFd owned(got);
            if (fd) *fd = std::move(owned);
        }
        return word;
    }

private:
    share::UniqueFd fd_;
};

class Forked {
public:
    template<class F>
    explicit Forked(F run) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) std::terminate();
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ < 0) std::terminate();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(99);
            ::close(ends[0]);
            int status = 98;
            try {
                status = run(Line(share::UniqueFd(ends[1])));
            } catch (...) { // a Catch2 REQUIRE that failed in the child, too
            }
            ::_exit(status);
        }
        ::close(ends[1]);
        line_.emplace(share::UniqueFd(ends[0]));
    }
    ~Forked() { kill(); }
    Forked(const Forked&) = delete;
    Forked& operator=(const Forked&) = delete;
    const Line& line() const { return *line_; }
    pid_t pid() const { return pid_; }
    /// Ends it by SIGKILL, and waits for its end.
    void kill() {
        if (pid_ < 0) return;
        ::kill(pid_, SIGKILL);
        (void)wait();
    }
    /// Exit status, or 128 + signal. Waits without a limit: the child has its own.
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

private:
    pid_t pid_ = -1;
    std::optional<Line> line_;
};

} // namespace testing
