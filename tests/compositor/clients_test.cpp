// SPDX-License-Identifier: MIT
// share-compositor as a program: other people's clients inside it, signals, hostile surroundings.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "picture.hpp"
#include "process.hpp"

using namespace testing;
using namespace std::chrono_literals;

namespace {

const std::string program = built("compositor-demo/share-compositor");

std::vector<std::string> runtime_env(const TempDir& dir) {
    return {"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY", "WAYLAND_SOCKET"};
}

/// A compositor on socket "test".
struct Compositor {
    TempDir dir;
    Process process;
    explicit Compositor(std::vector<std::string> options = {})
        : process({runtime_env(dir), arguments(std::move(options)), {}}) {
        REQUIRE(eventually([&] { return std::filesystem::exists(dir / "test"); }));
    }
    static std::vector<std::string> arguments(std::vector<std::string> options) {
        std::vector<std::string> all{program, "--socket=test", "--renderer=pixman", "--size=640x480"};
        all.insert(all.end(), options.begin(), options.end());
        return all;
    }
    Process client(std::vector<std::string> args) {
        return Process({{"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY=test", "WAYLAND_SOCKET"},
                        std::move(args),
                        {}});
    }
    /// Files of ours that are left in the runtime folder.
    std::size_t left() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(dir.path()), {}));
    }
};

bool complains(const std::string& text) {
    for (const char* word : {"error", "Error", "failed", "protocol", "warning"})
        if (text.find(word) != std::string::npos) return true;
    return false;
}

std::size_t lines(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

} // namespace

TEST_CASE("other people's clients run without an error on either side") {
    const std::vector<std::string> args =
        GENERATE(std::vector<std::string>{"weston-simple-shm"},
                 std::vector<std::string>{"weston-presentation-shm", "-f"},
                 std::vector<std::string>{"weston-subsurfaces", "-r1", "-t0"},
                 std::vector<std::string>{"weston-scaler"},
                 std::vector<std::string>{"foot", "sh", "-c", "echo hello; sleep 60"});
    if (!have_program(args[0])) SKIP(args[0] + " is missing");
    Compositor compositor({"--explain=json"});
    Process client = compositor.client(args);
    INFO(args[0]);
    // Frames of it are shown.
    CHECK(eventually([&] { return compositor.process.out().find("wl_surface") != std::string::npos; }, 20s));
    CHECK(client.running());
    INFO(client.err());
    CHECK(client.err().find("protocol error") == std::string::npos);
    CHECK(compositor.process.running());
    client.signal(SIGTERM);
    compositor.process.signal(SIGTERM);
    CHECK(compositor.process.wait(10s) == 0);
    INFO(compositor.process.err());
    CHECK(lines(compositor.process.err()) == 1);
}

TEST_CASE("wayland-info reads all globals") {
    if (!have_program("wayland-info")) SKIP("wayland-info is missing");
    Compositor compositor;
    Process client = compositor.client({"wayland-info"});
    CHECK(client.wait(20s) == 0);
    CHECK_FALSE(complains(client.err()));
    for (const char* global :
         {"wl_compositor", "wl_subcompositor", "wl_shm", "wl_output", "wl_seat", "xdg_wm_base",
          "wp_viewporter", "wp_presentation", "wp_single_pixel_buffer_manager_v1", "wl_data_device_manager"})
        CHECK(client.out().find(global) != std::string::npos);
    CHECK(client.out().find("width: 640 px, height: 480 px") != std::string::npos);
}

TEST_CASE("a command runs inside and its exit status becomes the compositor's") {
    const TempDir dir;
    const auto with = [&](std::vector<std::string> command) {
        std::vector<std::string> args{program, "--renderer=pixman", "--size=64x64", "--"};
        args.insert(args.end(), command.begin(), command.end());
        return run({runtime_env(dir), args, {}});
    };
    CHECK(with({"true"}).status == 0);
    CHECK(with({"sh", "-c", "exit 42"}).status == 42);
    CHECK(with({"sh", "-c", "kill -9 $$"}).status == 137);
    CHECK(with({"sh", "-c", "test -S \"$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY\""}).status == 0);
    const Finished missing = with({"/no/such/program"});
    CHECK(missing.status == 1);
    CHECK(missing.err.find("/no/such/program") != std::string::npos);
    CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("signals end it cleanly and leave nothing behind") {
    const int number = GENERATE(SIGINT, SIGTERM, SIGHUP, SIGPIPE);
    Compositor compositor;
    CHECK(compositor.left() == 2);
    compositor.process.signal(number);
    CHECK(compositor.process.wait(10s) == 0);
    CHECK(compositor.left() == 0);
}

TEST_CASE("a client inside does not outlive a compositor that is told to end") {
    Compositor compositor(
        {"--", "sh", "-c", "trap '' TERM; echo $$ > \"$XDG_RUNTIME_DIR/pid\"; while :; do sleep 1; done"});
    REQUIRE(eventually([&] { return std::filesystem::exists(compositor.dir / "pid"); }));
    compositor.process.signal(SIGTERM);
    CHECK(compositor.process.wait(10s).has_value());
    std::ifstream file(compositor.dir / "pid");
    pid_t pid = -1;
    file >> pid;
    REQUIRE(pid > 0);
    CHECK(kill(pid, 0) != 0);
}

TEST_CASE("SIGUSR1 and the end write the screenshot") {
    TempDir pictures;
    const std::string file = pictures / "picture.png";
    Compositor compositor({"--screenshot=" + file});
    compositor.process.signal(SIGUSR1);
    REQUIRE(eventually([&] { return std::filesystem::exists(file); }));
    std::filesystem::remove(file);
    // The last one is complete whatever was asked for just before.
    compositor.process.signal(SIGUSR1);
    compositor.process.signal(SIGUSR1);
    compositor.process.signal(SIGTERM);
    CHECK(compositor.process.wait(10s) == 0);
    const auto picture = load_png(file);
    REQUIRE(picture);
    CHECK((picture->width == 640 && picture->height == 480));
    CHECK(std::distance(std::filesystem::directory_iterator(pictures.path()), {}) == 1);
}

TEST_CASE("a screenshot that cannot be written is said, and costs the exit status") {
    Compositor compositor({"--screenshot=/no/such/folder/picture.png"});
    compositor.process.signal(SIGTERM);
    CHECK(compositor.process.wait(10s) == 1);
    CHECK(compositor.process.err().find("/no/such/folder") != std::string::npos);
}

TEST_CASE("a surrounding that cannot work is refused with one line that says what to set") {
    const TempDir dir;
    SECTION("XDG_RUNTIME_DIR is not set") {
        const Finished f = run({{"XDG_RUNTIME_DIR"}, {program}, {}});
        CHECK(f.status == 2);
        CHECK(f.err.find("XDG_RUNTIME_DIR") != std::string::npos);
        CHECK(lines(f.err) == 1);
    }
    SECTION("XDG_RUNTIME_DIR is somebody else's") {
        if (geteuid() == 0) {
            REQUIRE(chown(dir.path().c_str(), 12345, 12345) == 0);
        }
        const std::string other = geteuid() == 0 ? dir.path().string() : "/";
        const Finished f = run({{"XDG_RUNTIME_DIR=" + other}, {program}, {}});
        CHECK(f.status == 2);
        CHECK(lines(f.err) == 1);
        if (geteuid() == 0) {
            REQUIRE(chown(dir.path().c_str(), 0, 0) == 0);
        }
    }
    SECTION("the socket's path is too long") {
        const Finished f = run({runtime_env(dir), {program, "--socket=" + std::string(120, 'x')}, {}});
        CHECK(f.status == 2);
        CHECK(f.err.find("107") != std::string::npos);
    }
    SECTION("the lock file is a symbolic link") {
        std::filesystem::create_symlink("/etc/passwd", dir / "test.lock");
        const Finished f = run({runtime_env(dir), {program, "--socket=test"}, {}});
        CHECK(f.status == 1);
        CHECK(f.err.find("symbolic link") != std::string::npos);
        CHECK(std::filesystem::is_symlink(dir / "test.lock"));
    }
    SECTION("another compositor has the socket") {
        Compositor first;
        const Finished f = run({runtime_env(first.dir), {program, "--socket=test"}, {}});
        CHECK(f.status == 1);
        CHECK(std::filesystem::exists(first.dir / "test"));
    }
    SECTION("a file lies where the socket should be") {
        std::ofstream(dir / "test") << "precious";
        const Finished f = run({runtime_env(dir), {program, "--socket=test"}, {}});
        CHECK(f.status == 2);
        CHECK(std::filesystem::file_size(dir / "test") == 8);
    }
    SECTION("hardly any descriptors") {
        const Finished f =
            run({runtime_env(dir), {"sh", "-c", "ulimit -n 7; exec \"$0\" --renderer=pixman", program}, {}});
        CHECK(f.status == 1);
        CHECK(lines(f.err) >= 1);
    }
}

TEST_CASE("the socket of a compositor that was killed is taken over") {
    TempDir dir;
    const auto args = Compositor::arguments({});
    {
        Process killed({runtime_env(dir), args, {}});
        REQUIRE(eventually([&] { return std::filesystem::exists(dir / "test"); }));
        killed.signal(SIGKILL);
        CHECK(killed.wait(10s) == 137);
    }
    REQUIRE(std::filesystem::exists(dir / "test"));
    Process next({runtime_env(dir), args, {}});
    CHECK(eventually([&] { return next.err().find("WAYLAND_DISPLAY=test") != std::string::npos; }));
}

TEST_CASE("closed standard streams do not end up in the wrong place") {
    const TempDir dir;
    const Finished f =
        run({runtime_env(dir),
             {"sh", "-c", "exec \"$0\" --renderer=pixman --explain=json -- true <&- >&- 2>&-", program},
             {}});
    CHECK(f.status == 0);
}

TEST_CASE("it neither spins nor dies when clients use up its descriptors") {
    TempDir dir;
    Process process(
        {runtime_env(dir),
         {"sh", "-c", "ulimit -n 40; exec \"$0\" --renderer=pixman --socket=test --size=64x64", program},
         {}});
    REQUIRE(eventually([&] { return process.err().find("WAYLAND_DISPLAY") != std::string::npos; }));
    std::vector<share::UniqueFd> connections;
    for (int i = 0; i < 100; ++i) {
        share::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, (dir / "test").c_str());
        (void)connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
        connections.push_back(std::move(fd));
    }
    // Those beyond the limit are sent away: their connection ends.
    const auto sent_away = [&] {
        char byte;
        return std::count_if(connections.begin(), connections.end(), [&](const share::UniqueFd& fd) {
            return recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
        });
    };
    CHECK(eventually([&] { return sent_away() >= 50; }));
    CHECK(process.running());
    connections.clear();
    if (have_program("wayland-info")) {
        CHECK(eventually([&] {
            return run({{"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY=test"},
                        {"wayland-info"},
                        {}})
                       .status == 0;
        }));
    }
}

TEST_CASE("a client that never reads is disconnected at a cap, and others are served meanwhile") {
    Compositor compositor;
    const share::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (compositor.dir / "test").c_str());
    REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    // wl_display.sync again and again; each answer is two events of 12 bytes.
    constexpr std::uint32_t size_and_opcode = 12U << 16U, batch = 256, most = 1'000'000;
    std::uint32_t id = 2;
    std::vector<std::uint32_t> words;
    std::size_t sent = 0; // bytes of `words`
    CHECK(eventually([&] {
        if (sent == words.size() * 4) {
            words.clear();
            sent = 0;
            for (std::uint32_t i = 0; i < batch; ++i)
                words.insert(words.end(), {1, size_and_opcode, id++});
        }
        const auto* at = reinterpret_cast<const char*>(words.data()) + sent;
        const ssize_t now = send(fd.get(), at, words.size() * 4 - sent, MSG_NOSIGNAL);
        if (now > 0) sent += static_cast<std::size_t>(now);
        return (now < 0 && errno != EAGAIN) || id > most;
    }));
    CHECK(id < most);
    CHECK(compositor.process.running());
    if (have_program("wayland-info")) CHECK(compositor.client({"wayland-info"}).wait(10s) == 0);
}

TEST_CASE("what cannot be printed costs the exit status") {
    for (const char* word : {"--version", "--help"}) {
        INFO(word);
        const auto full = run({.args = {"sh", "-c", "exec \"$0\" $1 >/dev/full", program, word}});
        CHECK(full.status == 1);
        CHECK(full.err.find("standard output") != std::string::npos);
    }
}
