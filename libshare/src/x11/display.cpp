// SPDX-License-Identifier: MIT
#include "display.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <X11/X.h>
#include <X11/Xauth.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <share/unique_fd.hpp>

namespace share::x11 {

namespace {

struct DisplayName {
    std::string host;
    int number = 0;
    int screen = 0;
    bool local = false;
};

/// A socket's path, perhaps with ".SCREEN" behind it; libxcb before 1.16 knows it with "unix:" only.
std::optional<DisplayName> parse_path(std::string_view path) {
    if (path.starts_with("unix:/")) path.remove_prefix(5);
    if (!path.starts_with('/')) return std::nullopt;
    DisplayName name{std::string(path), 0, 0, true};
    const auto dot = path.rfind('.');
    if (access(name.host.c_str(), F_OK) == 0 || dot == path.npos) return name;
    const auto tail = path.substr(dot + 1);
    const auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), name.screen);
    if (error == std::errc{} && end == tail.data() + tail.size() && name.screen >= 0)
        name.host = path.substr(0, dot);
    return name;
}

Result<DisplayName> parse(const std::string& display) {
    if (auto path = parse_path(display)) return *path;
    char* host = nullptr;
    DisplayName name;
    if (!xcb_parse_display(display.c_str(), &host, &name.number, &name.screen))
        return make_error(Code::invalid_argument, fmt::format("opening X display '{}'", display),
                          "this is not a display's name; it looks like :0 or host:0.0");
    name.host = host;
    std::free(host);
    if (name.number < 0 || name.screen < 0)
        return make_error(Code::invalid_argument, fmt::format("opening X display '{}'", display),
                          "displays and screens are counted from 0");
    name.local = name.host.empty() || name.host == "unix" || display.starts_with("unix");
    return name;
}

Result<UniqueFd> connect_socket(const sockaddr* address, socklen_t length, const std::string& operation,
                                Deadline deadline) {
    UniqueFd fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return error_from_errno(errno, operation, "making a socket");
    if (address->sa_family != AF_UNIX) {
        const int on = 1;
        setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    while (connect(fd.get(), address, length) != 0) {
        if (errno == EINTR) continue;
        // A unix socket says EAGAIN when the listener's queue is full: nobody accepts.
        if (errno == EAGAIN) {
            if (deadline.passed())
                return make_error(Code::timed_out, operation,
                                  "the server accepts no connection; does it hang?");
            poll(nullptr, 0, std::min(deadline.remaining_ms(), 20));
            continue;
        }
        if (errno != EINPROGRESS) return error_from_errno(errno, operation);
        pollfd p{fd.get(), POLLOUT, 0};
        while (poll(&p, 1, deadline.remaining_ms()) <= 0) // a signal ends a wait as well
            if (deadline.passed())
                return make_error(Code::timed_out, operation,
                                  "no answer; is the host up, and the port not filtered?");
        int status = 0;
        socklen_t size = sizeof status;
        getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &status, &size);
        if (status != 0) return error_from_errno(status, operation);
        break;
    }
    return fd;
}

Result<UniqueFd> connect_unix(const std::string& path, bool abstract, Deadline deadline) {
    const auto operation = fmt::format("connecting to the X server at {}{}", abstract ? "@" : "", path);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t lead = abstract ? 1 : 0;
    if (path.size() + lead >= sizeof address.sun_path)
        return make_error(Code::invalid_argument, operation, "a socket's path has at most 107 bytes");
    std::memcpy(address.sun_path + lead, path.data(), path.size());
    const auto length = offsetof(sockaddr_un, sun_path) + lead + path.size() + (abstract ? 0 : 1);
    return connect_socket(reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(length), operation,
                          deadline);
}

Result<UniqueFd> connect_local(const DisplayName& name, Deadline deadline) {
    if (!name.host.empty() && name.host[0] == '/') return connect_unix(name.host, false, deadline);
    const auto path = fmt::format("/tmp/.X11-unix/X{}", name.number);
    auto fd = connect_unix(path, true, deadline);
    if (fd || fd.error().code == Code::timed_out) return fd;
    return connect_unix(path, false, deadline);
}

Result<UniqueFd> connect_tcp(const DisplayName& name, Deadline deadline) {
    constexpr int first_port = 6000, last_port = 65535; // getaddrinfo() takes larger ones modulo 65536
    if (name.number > last_port - first_port)
        return make_error(Code::invalid_argument,
                          fmt::format("connecting to the X server at {}:{}", name.host, name.number),
                          fmt::format("display {} is the last that has a TCP port", last_port - first_port));
    const auto port = fmt::format("{}", first_port + name.number);
    const auto operation = fmt::format("connecting to the X server at {} port {}", name.host, port);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    if (const int rc = getaddrinfo(name.host.c_str(), port.c_str(), &hints, &list); rc != 0)
        return make_error(Code::unavailable, operation, gai_strerror(rc));
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
    std::optional<Error> last;
    for (const addrinfo* entry = list; entry; entry = entry->ai_next) {
        auto fd = connect_socket(entry->ai_addr, entry->ai_addrlen, operation, deadline);
        if (fd) return fd;
        last = std::move(fd).error();
    }
    return last ? *last : make_error(Code::unavailable, operation, "the name has no address");
}

/// The cookie for this socket's peer from the X authority file, as libxcb would choose it.
using Authority = std::unique_ptr<Xauth, decltype(&XauDisposeAuth)>;
Authority find_authority(int fd, int display_number) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    unsigned short family = FamilyLocal;
    std::vector<char> address(256, '\0');
    gethostname(address.data(), address.size() - 1);
    address.resize(std::strlen(address.data()));
    const auto use = [&](unsigned short which, const void* bytes, std::size_t count) {
        family = which;
        address.assign(static_cast<const char*>(bytes), static_cast<const char*>(bytes) + count);
    };
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) {
        if (peer.ss_family == AF_INET) {
            const auto& in = reinterpret_cast<const sockaddr_in&>(peer);
            if (ntohl(in.sin_addr.s_addr) != INADDR_LOOPBACK) use(FamilyInternet, &in.sin_addr, 4);
        } else if (peer.ss_family == AF_INET6) {
            const auto& in = reinterpret_cast<const sockaddr_in6&>(peer);
            if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr))
                use(FamilyInternet, in.sin6_addr.s6_addr + 12, 4);
            else if (!IN6_IS_ADDR_LOOPBACK(&in.sin6_addr))
                use(FamilyInternet6, &in.sin6_addr, 16);
        }
    }
    char type[] = "MIT-MAGIC-COOKIE-1";
    char* types[] = {type};
    const int lengths[] = {static_cast<int>(sizeof type - 1)};
    const auto number = fmt::format("{}", display_number);
    return Authority(XauGetBestAuthByAddr(family, static_cast<unsigned short>(address.size()), address.data(),
                                          static_cast<unsigned short>(number.size()), number.c_str(), 1,
                                          types, lengths),
                     &XauDisposeAuth);
}

/// Shuts a socket down when the deadline passes, unless stopped before: that ends any wait on it.
class Watchdog {
public:
    static Result<std::unique_ptr<Watchdog>> start(int fd, Deadline deadline) {
        constexpr const char* operation = "watching over the set-up with the X server";
        // Its own fd: libxcb closes the other when the server refuses, and the number may be used again.
        UniqueFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
        if (!own) return error_from_errno(errno, operation, "duplicating the socket");
        std::unique_ptr<Watchdog> watchdog(new Watchdog(std::move(own)));
        try {
            watchdog->thread_ = std::thread([self = watchdog.get(), deadline] { self->watch(deadline); });
        } catch (const std::system_error& error) {
            return error_from_errno(error.code().value(), operation, "starting a thread (see ulimit -u)");
        }
        return watchdog;
    }
    ~Watchdog() { stop(); }
    bool stop() {
        {
            const std::lock_guard guard(lock_);
            done_ = true;
        }
        stopped_.notify_all();
        if (thread_.joinable()) thread_.join();
        return fired_;
    }

private:
    explicit Watchdog(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
    void watch(Deadline deadline) {
        std::unique_lock lock(lock_);
        if (stopped_.wait_until(lock, deadline.when(), [this] { return done_; })) return;
        fired_ = true;
        shutdown(fd_.get(), SHUT_RDWR);
    }
    std::mutex lock_;
    std::condition_variable stopped_;
    bool done_ = false, fired_ = false;
    UniqueFd fd_;
    std::thread thread_;
};

Result<xcb_connection_t*> set_up(UniqueFd fd, const DisplayName& name, const std::string& operation,
                                 Deadline deadline) {
    const auto authority = find_authority(fd.get(), name.number);
    xcb_auth_info_t info{};
    if (authority) info = {authority->name_length, authority->name, authority->data_length, authority->data};
    auto watchdog = Watchdog::start(fd.get(), deadline);
    if (!watchdog) return std::move(watchdog).error();
    xcb_connection_t* xcb = xcb_connect_to_fd(fd.release(), authority ? &info : nullptr);
    const bool late = (*watchdog)->stop();
    if (!late && xcb_connection_has_error(xcb) == 0) return xcb;
    xcb_disconnect(xcb);
    if (late)
        return make_error(Code::timed_out, operation,
                          "the server took the connection but did not answer; does it hang?");
    return make_error(
        Code::denied, operation,
        authority ? "the server refused the connection; is the cookie in XAUTHORITY that of this server?"
                  : "the server refused the connection; there is no cookie for it in the X authority "
                    "file: set XAUTHORITY, or use xauth or xhost");
}

} // namespace

Result<OpenedDisplay> open_display(const std::string& display, Deadline deadline) {
    std::string wanted = display;
    if (wanted.empty()) {
        const char* env = std::getenv("DISPLAY");
        if (!env || !*env)
            return make_error(
                Code::unavailable, "opening an X display",
                "DISPLAY is not set and no display was named; set it (DISPLAY=:0) or start a server");
        wanted = env;
    }
    auto name = parse(wanted);
    if (!name) return std::move(name).error();
    const auto operation = fmt::format("opening X display '{}'", wanted);
    auto fd = name->local ? connect_local(*name, deadline) : connect_tcp(*name, deadline);
    if (!fd) {
        auto& why = fd.error();
        const auto code =
            why.code == Code::timed_out || why.code == Code::invalid_argument ? why.code : Code::unavailable;
        return Error{code, 0, operation,
                     why.text() + (code == Code::unavailable ? "; is the server running?" : "")};
    }
    auto xcb = set_up(std::move(*fd), *name, operation, deadline);
    if (!xcb) return std::move(xcb).error();
    return OpenedDisplay{*xcb, name->screen, wanted};
}

} // namespace share::x11
