// SPDX-License-Identifier: MIT
#include "process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace testing {

std::size_t count_fds() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count - 1; // the iterator's own
}

TempDir::TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "share-test-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name + ": " + std::strerror(errno));
    path_ = name;
}

TempDir::~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

namespace {

share::UniqueFd capture_file(const char* name) {
    share::UniqueFd fd(memfd_create(name, MFD_CLOEXEC));
    if (!fd) throw std::runtime_error("memfd_create");
    return fd;
}

std::string read_all(int fd) {
    std::string text;
    char block[4096];
    off_t at = 0;
    for (ssize_t n = 0; (n = pread(fd, block, sizeof block, at)) > 0; at += n)
        text.append(block, static_cast<std::size_t>(n));
    return text;
}

} // namespace

Process::Process(ProcessOptions options) : out_(capture_file("stdout")), err_(capture_file("stderr")) {
    std::vector<char*> argv;
    for (auto& arg : options.args)
        argv.push_back(arg.data());
    argv.push_back(nullptr);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ > 0) {
        setpgid(pid_, pid_);
        return;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(out_.get(), 1);
    dup2(err_.get(), 2);
    for (const int fd : options.keep_fds)
        fcntl(fd, F_SETFD, 0);
    for (const auto& entry : options.env) {
        const auto eq = entry.find('=');
        if (eq == std::string::npos)
            unsetenv(entry.c_str());
        else
            setenv(entry.substr(0, eq).c_str(), entry.c_str() + eq + 1, 1);
    }
    execvp(argv[0], argv.data());
    dprintf(2, "exec %s: %s\n", argv[0], std::strerror(errno));
    _exit(127);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      status_(other.status_),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)) {}

Process::~Process() {
    if (pid_ <= 0) return;
    kill(-pid_, SIGKILL);
    if (!status_) waitpid(pid_, nullptr, 0);
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) {
    eventually([this] { return !running(); }, limit);
    return status_;
}

bool Process::running() {
    if (status_) return false;
    int raw = 0;
    const pid_t got = waitpid(pid_, &raw, WNOHANG);
    if (got != pid_) return true;
    status_ = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
    return false;
}

void Process::signal(int number) {
    if (running()) kill(pid_, number);
}

std::string Process::out() const {
    return read_all(out_.get());
}
std::string Process::err() const {
    return read_all(err_.get());
}

Finished run(ProcessOptions options, std::chrono::milliseconds limit) {
    Process process(std::move(options));
    const auto status = process.wait(limit);
    return {status.value_or(124), process.out(), process.err()};
}

bool have_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0;
    const char* path = std::getenv("PATH");
    std::string list = path ? path : "/usr/bin:/bin";
    for (std::size_t at = 0; at <= list.size();) {
        const auto end = std::min(list.find(':', at), list.size());
        if (access((list.substr(at, end - at) + "/" + name).c_str(), X_OK) == 0) return true;
        at = end + 1;
    }
    return false;
}

std::string built(const std::string& relative) {
    const char* root = std::getenv("SHARE_BUILD_ROOT");
    return std::filesystem::absolute(root ? root : "build") / relative;
}

} // namespace testing
