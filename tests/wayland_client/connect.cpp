// SPDX-License-Identifier: MIT
// Finding the compositor: what the environment may say, and what the error then says.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <optional>

#include <catch2/catch_test_macros.hpp>

#include <share/wayland_client/display.hpp>

#include "process.hpp"

using namespace testing;
using namespace std::chrono_literals;
using share::Code;
using share::Deadline;
using share::wayland_client::connect_socket;

namespace {

/// Sets a variable (or unsets it) for the life of the object.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* old = std::getenv(name)) old_ = old;
        if (value)
            setenv(name, value, 1);
        else
            unsetenv(name);
    }
    ~Variable() {
        if (old_)
            setenv(name_, old_->c_str(), 1);
        else
            unsetenv(name_);
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    const char* name_;
    std::optional<std::string> old_;
};

share::UniqueFd listen_at(const std::string& path, int backlog) {
    share::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(fd.get(), backlog) == 0);
    return fd;
}

std::string refusal(Code code, Deadline deadline = Deadline::in(1s)) {
    const auto socket = connect_socket(std::nullopt, deadline);
    REQUIRE_FALSE(socket.ok());
    CHECK(socket.error().code == code);
    return socket.error().text();
}

bool says(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("the socket is found as libwayland finds it") {
    const TempDir dir;
    const auto listener = listen_at(dir / "wayland-0", 8);
    const Variable socket("WAYLAND_SOCKET", nullptr);
    const Variable runtime("XDG_RUNTIME_DIR", dir.path().c_str());
    const auto fds = count_fds();
    SECTION("by default") {
        const Variable display("WAYLAND_DISPLAY", nullptr);
        CHECK(connect_socket(std::nullopt, Deadline::in(1s)).ok());
    }
    SECTION("by name") {
        const Variable display("WAYLAND_DISPLAY", "wayland-0");
        CHECK(connect_socket(std::nullopt, Deadline::in(1s)).ok());
    }
    SECTION("by absolute path, without XDG_RUNTIME_DIR") {
        const Variable none("XDG_RUNTIME_DIR", nullptr);
        const Variable display("WAYLAND_DISPLAY", (dir / "wayland-0").c_str());
        CHECK(connect_socket(std::nullopt, Deadline::in(1s)).ok());
    }
    SECTION("by the caller, whatever the environment says") {
        const Variable display("WAYLAND_DISPLAY", "elsewhere");
        CHECK(connect_socket("wayland-0", Deadline::in(1s)).ok());
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("an inherited socket is taken once") {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const share::UniqueFd other(ends[1]);
    const Variable socket("WAYLAND_SOCKET", std::to_string(ends[0]).c_str());
    const auto fd = connect_socket(std::nullopt, Deadline::in(1s));
    REQUIRE(fd.ok());
    CHECK(fd->get() == ends[0]);
    CHECK((fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(std::getenv("WAYLAND_SOCKET") == nullptr);
}

TEST_CASE("a wrong environment is named, with what was tried") {
    const TempDir dir;
    const auto fds = count_fds();
    const Variable no_socket("WAYLAND_SOCKET", nullptr);
    const Variable runtime("XDG_RUNTIME_DIR", dir.path().c_str());
    SECTION("nobody listens") {
        const Variable display("WAYLAND_DISPLAY", "nobody");
        CHECK(says(refusal(Code::unavailable), dir / "nobody"));
    }
    SECTION("empty name") {
        const Variable display("WAYLAND_DISPLAY", "");
        CHECK(says(refusal(Code::unavailable), "WAYLAND_DISPLAY is empty"));
    }
    SECTION("no run-time directory") {
        const Variable none("XDG_RUNTIME_DIR", nullptr);
        const Variable display("WAYLAND_DISPLAY", "wayland-0");
        CHECK(says(refusal(Code::unavailable), "XDG_RUNTIME_DIR is not set"));
    }
    SECTION("a relative run-time directory") {
        const Variable relative("XDG_RUNTIME_DIR", "run");
        CHECK(says(refusal(Code::unavailable), "not an absolute path"));
    }
    SECTION("a path longer than a socket's") {
        const Variable display("WAYLAND_DISPLAY", ("/" + std::string(107, 'x')).c_str());
        CHECK(says(refusal(Code::unavailable), "108 bytes"));
    }
    SECTION("WAYLAND_SOCKET is no number") {
        const Variable socket("WAYLAND_SOCKET", "3x");
        CHECK(says(refusal(Code::unavailable), "no fd number"));
    }
    SECTION("WAYLAND_SOCKET is not open") {
        const Variable socket("WAYLAND_SOCKET", "9999");
        CHECK(says(refusal(Code::unavailable), "no stream socket"));
    }
    SECTION("WAYLAND_SOCKET is negative") {
        const Variable socket("WAYLAND_SOCKET", "-1");
        CHECK(says(refusal(Code::unavailable), "no fd number"));
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("a compositor that accepts nobody gives timed_out") {
    const TempDir dir;
    const auto listener = listen_at(dir / "full", 0);
    const Variable no_socket("WAYLAND_SOCKET", nullptr);
    const Variable display("WAYLAND_DISPLAY", (dir / "full").c_str());
    std::vector<share::UniqueFd> waiting; // fill the backlog
    for (int i = 0; i < 4; ++i)
        if (auto one = connect_socket(std::nullopt, Deadline::in(10ms)); one)
            waiting.push_back(*std::move(one));
    REQUIRE_FALSE(waiting.empty());
    CHECK(says(refusal(Code::timed_out, Deadline::in(50ms)), "does not accept"));
}
