// SPDX-License-Identifier: MIT
// The twelve steps of the dma-buf RFC of 2011: two drivers, one buffer, and where that goes wrong without a
// law. "read/write" is a driver's CPU, "map()" and "unmap()" are its device's hold, "dma" is the device at
// work. Driver B is a thread with the same Buffer, then a process that received the memory: the calls are the
// same.
#include <share/share.hpp>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <thread>

using namespace share;
using namespace std::chrono_literals;

struct Driver {
    std::shared_ptr<Buffer> buffer;
    std::string name;
    Attachment device{};

    std::string map(Access access, Deadline deadline) {
        auto attached = buffer->attach(access, "the device of " + name, deadline);
        if (!attached) return "REFUSED: " + attached.error().detail;
        device = std::move(*attached);
        return "allowed";
    }
    std::string act(char what) {
        if (what == 'c') {
            auto mapping = buffer->map(Access::read_write, Deadline::none());
            return mapping ? "allowed" : "REFUSED: " + mapping.error().detail;
        }
        if (what == 'r' || what == 'w')
            return map(what == 'r' ? Access::read : Access::write, Deadline::none());
        if (what == 'W') return map(Access::write, Deadline::in(10s)) + ", after a wait";
        if (what == 'd') return device ? "runs" : "NOT MAPPED";
        device.release();
        return "done";
    }
};

/// Driver B is told what to do over a socket, by the letters above.
static void serve(const UniqueFd& socket, Driver driver) {
    for (char what = 0; ::read(socket.get(), &what, 1) == 1;) {
        const std::string answer = driver.act(what);
        if (::write(socket.get(), answer.data(), answer.size()) < 0) return;
    }
}

static std::string hear(int socket) {
    char text[400]{};
    return ::read(socket, text, sizeof text - 1) > 0 ? text : "driver B is gone";
}

// Step, driver, what it does, whether it is allowed (+), refused (-), or waits (.) and comes through later
// (?). Two devices that write: B cannot have the buffer at step 6, and so 8 never happens beside 7.
static const char* const writing = "1 A c + 2 B c + 3 A w + 4 B c - 5 A d + 6 B w - 6 B W . 7 A d + 9 A u + "
                                   "6 B ? + 10 B d + 11 A c - 12 B u + "
                                   "12 A c +";
// Two devices that only read: 7 and 8 overlap. The CPU may not write all the same.
static const char* const reading =
    "1 A c + 2 B c + 3 A r + 4 B c - 5 A d + 6 B r + 7 A d + 8 B d + 9 A u + 10 B d + "
    "11 A c - 12 B u + 12 A c +";

static const char* words(char what) {
    if (what == 'c') return "read/write";
    if (what == 'd') return "dma";
    return what == 'u' ? "unmap()" : what == 'W' ? "map() waits" : what == '?' ? "map() goes on" : "map()";
}

static void run(const char* title, const char* script, Driver& a, int b, bool& as_expected) {
    std::printf("\n%s\nstep  driver A       driver B\n", title);
    std::istringstream steps(script);
    int number = 0;
    for (char who = 0, what = 0, expected = 0; steps >> number >> who >> what >> expected;) {
        if (who == 'B' && what != '?') as_expected = ::write(b, &what, 1) == 1 && as_expected;
        if (expected == '.') std::this_thread::sleep_for(20ms); // so that it does have to wait
        const std::string answer = who == 'A' ? a.act(what) : expected == '.' ? "..." : hear(b);
        const bool refused = !answer.starts_with("allowed") && answer != "runs" && answer != "done";
        const bool good = expected == '.' || refused == (expected == '-');
        as_expected = as_expected && good;
        std::printf("%4d  %-14s %-14s %s%s\n", number, who == 'A' ? words(what) : "",
                    who == 'B' ? words(what) : "", answer.c_str(), good ? "" : "   <-- WRONG");
    }
}

int main() {
    auto heaps = HeapTable::probe();
    const auto layout = Layout::linear(64, 64, format::xrgb8888).value();
    const auto memory = heaps.find("memfd").value()->allocate(layout.size(), "twelve steps").value();
    int inside[2], between[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, between) != 0) return 1;
    const pid_t child = ::fork();
    if (child == 0) { // driver B as a process: all that it has is the fd
        ::close(between[0]);
        auto received = import_fd(UniqueFd(::dup(memory->fd()))).value();
        auto buffer = Buffer::create(received, 0, layout).value();
        if (!share_ownership(*buffer)) return 1;
        serve(UniqueFd(between[1]), {buffer, "driver B"});
        return 0;
    }
    ::close(between[1]);
    Driver a{Buffer::create(memory, 0, layout).value(), "driver A"};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, inside) != 0) return 1;
    std::thread thread([&] { serve(UniqueFd(inside[1]), {a.buffer, "driver B"}); });
    bool good = true;
    run("One process, one Buffer; both devices write", writing, a, inside[0], good);
    run("One process, one Buffer; both devices read", reading, a, inside[0], good);
    ::close(inside[0]);
    thread.join();
    if (!share_ownership(*a.buffer)) return 1;
    run("Two processes, the kernel's locks; both devices write", writing, a, between[0], good);
    run("Two processes, the kernel's locks; both devices read", reading, a, between[0], good);
    ::close(between[0]);
    int status = 1;
    ::waitpid(child, &status, 0);
    return good && status == 0 ? 0 : 1;
}
