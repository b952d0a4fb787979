// SPDX-License-Identifier: MIT
#include "socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace compositor {
namespace {

using share::Code;
using share::error_from_errno;
using share::make_error;

share::Result<std::string> runtime_dir() {
    const char* dir = std::getenv("XDG_RUNTIME_DIR"); // NOLINT(concurrency): before any thread
    const std::string operation = "finding a place for the Wayland socket";
    const char* const advice = "set it to a directory of your own with mode 0700, such as /run/user/UID";
    if (!dir || dir[0] == '\0')
        return make_error(Code::invalid_argument, operation,
                          fmt::format("XDG_RUNTIME_DIR is not set: {}", advice));
    if (dir[0] != '/')
        return make_error(Code::invalid_argument, operation,
                          fmt::format("XDG_RUNTIME_DIR={} is not an absolute path: {}", dir, advice));
    struct stat info{};
    if (stat(dir, &info) != 0)
        return error_from_errno(errno, operation, fmt::format("XDG_RUNTIME_DIR={}: {}", dir, advice));
    if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid())
        return make_error(
            Code::invalid_argument, operation,
            fmt::format("XDG_RUNTIME_DIR={} is not a directory of uid {}: {}", dir, geteuid(), advice));
    return std::string(dir);
}

} // namespace

share::Result<std::unique_ptr<ListeningSocket>> ListeningSocket::create(wl_display* display,
                                                                        const std::string& name) {
    std::unique_ptr<ListeningSocket> made(new ListeningSocket(display));
    if (name.starts_with('/')) {
        made->name_ = name;
        if (auto opened = made->open(name); !opened) return opened.error();
        return made;
    }
    auto dir = runtime_dir();
    if (!dir) return dir.error();
    if (name.find('/') != std::string::npos)
        return make_error(Code::invalid_argument, fmt::format("--socket={}", name),
                          "a name with '/' must be an absolute path");
    if (!name.empty()) {
        made->name_ = name;
        if (auto opened = made->open(*dir + '/' + name); !opened) return opened.error();
        return made;
    }
    for (int i = 0; i <= 32; ++i) {
        std::unique_ptr<ListeningSocket> attempt(new ListeningSocket(display));
        attempt->name_ = fmt::format("wayland-{}", i);
        auto opened = attempt->open(*dir + '/' + attempt->name_);
        if (opened) return attempt;
        if (opened.error().code != Code::busy) return opened.error();
    }
    return make_error(Code::busy, fmt::format("listening in {}", *dir),
                      "wayland-0 to wayland-32 are all in use");
}

share::Result<void> ListeningSocket::open(const std::string& path) {
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return make_error(
            Code::invalid_argument, fmt::format("listening on {}", path),
            fmt::format("the path has {} bytes, a socket's may have {}: set a shorter XDG_RUNTIME_DIR or "
                        "--socket",
                        path.size(), sizeof(sockaddr_un::sun_path) - 1));
    path_ = path;
    lock_path_ = path + ".lock";
    if (auto locked = lock(); !locked) return locked;
    return listen();
}

share::Result<void> ListeningSocket::lock() {
    const std::string operation = fmt::format("locking {}", lock_path_);
    lock_.reset(::open(lock_path_.c_str(), O_CREAT | O_CLOEXEC | O_RDWR | O_NOFOLLOW, 0660));
    if (!lock_) {
        const int error = errno;
        lock_path_.clear();
        return error_from_errno(error, operation,
                                error == ELOOP ? "it is a symbolic link, which is never followed: remove it"
                                               : "");
    }
    if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
        lock_path_.clear(); // another compositor's
        return make_error(Code::busy, operation, "another compositor listens there: choose another --socket");
    }
    return {};
}

share::Result<void> ListeningSocket::listen() {
    const std::string operation = fmt::format("listening on {}", path_);
    struct stat info{};
    if (lstat(path_.c_str(), &info) == 0) {
        // We hold the lock: a socket here is a dead compositor's. Anything else is somebody's file.
        if (!S_ISSOCK(info.st_mode))
            return make_error(Code::invalid_argument, operation,
                              "there is a file that is not a socket: remove it");
        if (unlink(path_.c_str()) != 0) return error_from_errno(errno, operation, "removing the old socket");
    }
    socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_) return error_from_errno(errno, operation);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return error_from_errno(errno, operation);
    bound_ = true;
    if (::listen(socket_.get(), 128) != 0) return error_from_errno(errno, operation);
    spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    source_ = wl_event_loop_add_fd(wl_display_get_event_loop(display_), socket_.get(), WL_EVENT_READABLE,
                                   &on_readable, this);
    if (!source_) return error_from_errno(errno, operation, "watching the socket");
    return {};
}

ListeningSocket::~ListeningSocket() {
    if (source_) wl_event_source_remove(source_);
    if (bound_) unlink(path_.c_str());
    if (!lock_path_.empty()) unlink(lock_path_.c_str());
}

int ListeningSocket::on_readable(int, std::uint32_t, void* self) noexcept {
    static_cast<ListeningSocket*>(self)->accept();
    return 0;
}

void ListeningSocket::accept() noexcept {
    share::UniqueFd fd(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd) {
        if (wl_client_create(display_, fd.get())) (void)fd.release();
        return;
    }
    if (errno != EMFILE && errno != ENFILE) return;
    // The connection stays readable until somebody takes it: the spare descriptor makes room to refuse it.
    spare_.reset();
    fd.reset(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    fd.reset();
    spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

} // namespace compositor
