// SPDX-License-Identifier: MIT
#include "isolate.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include <fmt/format.h>

#include <share/deadline.hpp>
#include <share/unique_fd.hpp>

namespace info {

namespace {

struct Pipe {
    share::UniqueFd reader, writer;
};

Pipe make_pipe() {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) return {};
    return {share::UniqueFd(ends[0]), share::UniqueFd(ends[1])};
}

/// What a child writes until it ends.
struct Stream {
    share::UniqueFd fd;
    std::string text;

    void read_some() {
        char piece[16384];
        const auto got = read(fd.get(), piece, sizeof piece);
        if (got > 0)
            text.append(piece, static_cast<std::size_t>(got));
        else if (got == 0 || (errno != EINTR && errno != EAGAIN))
            fd.reset();
    }
};

struct Child {
    const Section* section = nullptr;
    share::Deadline deadline = share::Deadline::none();
    pid_t pid = -1;
    Stream report, messages;
    std::string failure; ///< why there is none

    bool done() const { return !report.fd && !messages.fd; }
};

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto put = write(fd, text.data(), text.size());
        if (put < 0 && errno != EINTR) return;
        if (put > 0) text.remove_prefix(static_cast<std::size_t>(put));
    }
}

[[noreturn]] void be_child(const Section& section, int report, int messages) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN); // a server that goes away is an error, not our end
    dup2(messages, STDOUT_FILENO);
    dup2(messages, STDERR_FILENO);
    std::string text;
    try {
        text = section.collect().dump(-1, ' ', false, Json::error_handler_t::replace);
    } catch (const std::exception& error) {
        text = missing(fmt::format("collecting it failed: {}", error.what())).dump();
    }
    write_all(report, text);
    _exit(0); // the parent's buffers and atexit handlers are not ours
}

Child start(const Section& section) {
    Child child;
    child.section = &section;
    child.deadline = share::Deadline::in(section.patience);
    auto report = make_pipe(), messages = make_pipe();
    if (!report.reader || !messages.reader) {
        child.failure = fmt::format("no pipe to a child process: {}; raise the limit of open files",
                                    std::strerror(errno));
        return child;
    }
    child.pid = fork();
    if (child.pid == 0) be_child(section, report.writer.get(), messages.writer.get());
    if (child.pid < 0) {
        child.failure = fmt::format("no child process: {}", std::strerror(errno));
        return child;
    }
    child.report.fd = std::move(report.reader);
    child.messages.fd = std::move(messages.reader);
    return child;
}

/// One turn of reading from all children that still speak; false when there is none.
bool listen(std::vector<Child>& children) {
    std::vector<pollfd> polls;
    std::vector<Stream*> streams;
    int wait = 1000;
    for (auto& child : children) {
        if (child.done()) continue;
        if (child.deadline.passed()) {
            child.report.fd.reset();
            child.messages.fd.reset();
            child.failure = fmt::format("no answer within {} s; something that it asked hangs",
                                        child.section->patience.count() / 1000);
            continue;
        }
        wait = std::min(wait, child.deadline.remaining_ms());
        for (Stream* stream : {&child.report, &child.messages}) {
            if (!stream->fd) continue;
            polls.push_back({stream->fd.get(), POLLIN, 0});
            streams.push_back(stream);
        }
    }
    if (polls.empty()) return false;
    if (poll(polls.data(), polls.size(), wait) <= 0) return true;
    for (std::size_t i = 0; i < polls.size(); ++i)
        if (polls[i].revents != 0) streams[i]->read_some();
    return true;
}

/// How the child ended. One that has closed its pipes is ending already, and the signal changes nothing; one
/// that is stuck inside the kernel is not waited for.
int reap(pid_t pid) {
    int status = 0;
    kill(pid, SIGKILL);
    for (int tries = 0; tries < 100; ++tries) {
        if (waitpid(pid, &status, WNOHANG) != 0) break;
        const timespec nap{0, 2'000'000};
        nanosleep(&nap, nullptr);
    }
    return status;
}

Json finish(Child& child) {
    const int status = child.pid > 0 ? reap(child.pid) : 0;
    if (child.failure.empty() && WIFSIGNALED(status))
        child.failure = fmt::format("collecting it crashed ({}); its driver or library is at fault",
                                    strsignal(WTERMSIG(status)));
    Json part =
        child.failure.empty() ? Json::parse(child.report.text, nullptr, false) : missing(child.failure);
    if (part.is_discarded() || !part.is_object()) part = missing("the collecting process gave no report");
    Json messages = Json::array();
    std::istringstream lines(child.messages.text);
    for (std::string line; std::getline(lines, line);)
        if (!line.empty() && std::find(messages.begin(), messages.end(), line) == messages.end())
            messages.push_back(line);
    if (!messages.empty()) part["messages"] = std::move(messages);
    return part;
}

} // namespace

std::vector<Json> collect_apart(std::span<const Section* const> sections) {
    std::vector<Child> children;
    for (const Section* section : sections)
        children.push_back(start(*section));
    while (listen(children)) {
    }
    std::vector<Json> parts;
    for (auto& child : children)
        parts.push_back(finish(child));
    return parts;
}

} // namespace info
