// SPDX-License-Identifier: MIT
// Finding and reaching the compositor's socket. libwayland's own wl_display_connect() blocks when a hung
// compositor's backlog is full and says only ENOENT when a variable is wrong.
#include <share/wayland_client/display.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace share::wayland_client {

namespace {

constexpr std::string_view attempt = "connecting to a Wayland compositor";

Error unavailable(std::string detail) {
    return make_error(Code::unavailable, std::string(attempt), std::move(detail));
}

Result<UniqueFd> inherited_socket(std::string_view text) {
    int fd = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
    if (error != std::errc() || end != text.data() + text.size() || fd < 0)
        return unavailable(fmt::format("WAYLAND_SOCKET is '{}', which is no fd number; unset it", text));
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
        return unavailable(
            fmt::format("WAYLAND_SOCKET names fd {}, which is no stream socket; unset it", fd));
    UniqueFd socket(fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    // As in libwayland: a child must not find a variable that names an fd it does not have.
    unsetenv("WAYLAND_SOCKET");
    return socket;
}

struct Address {
    std::string path;
    std::string origin; ///< for texts: which variable it came from
};

Result<Address> find_address(std::optional<std::string_view> name) {
    Address address;
    std::string wanted;
    if (name) {
        wanted = *name;
        address.origin = "the given name";
    } else if (const char* variable = std::getenv("WAYLAND_DISPLAY"); variable) {
        wanted = variable;
        address.origin = "WAYLAND_DISPLAY";
    } else {
        wanted = "wayland-0";
        address.origin = "the default, WAYLAND_DISPLAY is not set";
    }
    if (wanted.empty())
        return unavailable(fmt::format("{} is empty; set it to the compositor's socket", address.origin));
    if (wanted.front() == '/') {
        address.path = wanted;
    } else {
        const char* directory = std::getenv("XDG_RUNTIME_DIR");
        if (!directory || directory[0] != '/')
            return unavailable(
                fmt::format("tried socket '{}' ({}), but XDG_RUNTIME_DIR is {}; set it to your "
                            "private run-time directory (usually /run/user/UID)",
                            wanted, address.origin, directory ? "not an absolute path" : "not set"));
        address.path = fmt::format("{}/{}", directory, wanted);
    }
    if (address.path.size() > sizeof(sockaddr_un::sun_path) - 1)
        return unavailable(
            fmt::format("the socket path '{}' has {} bytes, more than the {} that a socket can have",
                        address.path, address.path.size(), sizeof(sockaddr_un::sun_path) - 1));
    return address;
}

Result<UniqueFd> reach(const Address& address, Deadline deadline) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return error_from_errno(errno, std::string(attempt), "no socket could be made");
    sockaddr_un peer{};
    peer.sun_family = AF_UNIX;
    std::memcpy(peer.sun_path, address.path.c_str(), address.path.size() + 1);
    for (;;) {
        if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) == 0) break;
        const int why = errno;
        if (why != EAGAIN && why != EINTR)
            return Error{Code::unavailable, why, std::string(attempt),
                         fmt::format("tried {} (from {}); is a compositor running there?", address.path,
                                     address.origin)};
        if (deadline.passed())
            return make_error(
                Code::timed_out, std::string(attempt),
                fmt::format("{} does not accept connections: its compositor seems to hang", address.path));
        poll(nullptr, 0, 10); // a full backlog cannot be polled for
    }
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
    return fd;
}

} // namespace

Result<UniqueFd> connect_socket(std::optional<std::string_view> name, Deadline deadline) {
    if (const char* inherited = std::getenv("WAYLAND_SOCKET"); inherited && !name)
        return inherited_socket(inherited);
    auto address = find_address(name);
    if (!address) return std::move(address).error();
    return reach(*address, deadline);
}

} // namespace share::wayland_client
