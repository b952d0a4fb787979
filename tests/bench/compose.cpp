// SPDX-License-Identifier: MIT
// What a frame costs a compositor, in CPU time of its process, against one memcpy of the frame between
// recycled shared mappings: composed (something small lies on top), passed through, and 64x64 of damage.
// The same client drives stock Weston where it is installed.
//
// Caches are as cold as in use: before every frame, and before every memcpy, the client writes the whole
// frame, and sources and targets rotate.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "bench.hpp"
#include "client.hpp"
#include "process.hpp"

namespace {

using namespace std::chrono_literals;

struct Server {
    std::string name;
    std::vector<std::string> command;
};

struct Size {
    int width, height;
};

constexpr int blocks = 8;
constexpr int frames_per_block = 10;

/// Two recycled shared mappings of a frame's size, touched.
struct Target {
    explicit Target(std::size_t size) : bytes(size) {
        for (auto& address : at) {
            address = static_cast<std::byte*>(
                mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
            std::memset(address, 1, size);
        }
    }
    ~Target() {
        for (auto* address : at)
            munmap(address, bytes);
    }
    std::size_t bytes;
    std::byte* at[2];
};

struct Times {
    std::vector<double> server, copy;
};

/// One frame of the client; false when the compositor is gone.
bool show(bench::Client& client, int value, int damage) {
    auto bytes = client.next();
    if (bytes.empty()) return false;
    std::memset(bytes.data(), value & 0xff, bytes.size());
    return client.present(damage);
}

/// A renderer with threads of its own is still busy when the frame callback comes, so whole blocks of frames
/// are charged, and each block ends in a pause. Between the blocks we copy as many frames ourselves.
bool drive(bench::Client& client, pid_t server, int damage, Times& times) {
    std::unique_ptr<Target> target;
    for (int block = -1; block < blocks; ++block) {
        const double start = bench::process_cpu(server);
        for (int frame = 0; frame < frames_per_block; ++frame)
            if (!show(client, block * frames_per_block + frame, damage)) return false;
        usleep(150'000);
        const double cost = bench::process_cpu(server) - start;

        double copy = 0;
        for (int frame = 0; frame < frames_per_block; ++frame) {
            auto bytes = client.next();
            if (bytes.empty()) return false;
            std::memset(bytes.data(), frame & 0xff, bytes.size());
            if (!target) target = std::make_unique<Target>(bytes.size());
            const double before = bench::thread_cpu();
            std::memcpy(target->at[frame & 1], bytes.data(), bytes.size());
            copy += bench::thread_cpu() - before;
        }
        if (block < 0) continue; // the first one warms everything
        times.server.push_back(cost / frames_per_block);
        times.copy.push_back(copy / frames_per_block);
    }
    return true;
}

void measure(const Server& server, const Size& size, const std::string& what, bool overlay, bool dmabuf,
             int damage, double target) {
    const testing::TempDir dir;
    const std::string name = fmt::format("{}, {}x{}: {}", server.name, size.width, size.height, what);
    if (!testing::have_program(server.command[0]) && !std::filesystem::exists(server.command[0]))
        return bench::print_value(name, fmt::format("skipped: {} is not installed", server.command[0]));
    std::vector<std::string> args;
    for (const auto& word : server.command)
        args.push_back(
            fmt::format(fmt::runtime(word), fmt::arg("w", size.width), fmt::arg("h", size.height)));
    testing::Process process(
        {.env = {"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY", "DISPLAY"}, .args = args});
    const std::string socket = dir / "bench";
    if (!testing::eventually([&] { return std::filesystem::exists(socket); }))
        return bench::print_value(name, "skipped: did not start: " + process.err().substr(0, 200));
    std::string why;
    auto client = bench::Client::create({socket, size.width, size.height, overlay, dmabuf}, why);
    if (!client) return bench::print_value(name, "skipped: " + why);
    Times times;
    if (!drive(*client, process.pid(), damage, times))
        return bench::print_value(name, "failed: the compositor stopped answering");
    if (damage > 0) {
        const auto s = bench::spread(times.server);
        return bench::print_value(
            name, fmt::format("{:6.3f} ms  ({:.3f} to {:.3f})", s.median * 1e3, s.low * 1e3, s.high * 1e3));
    }
    bench::print_ratio(name, "one memcpy of the frame", times.server, times.copy, target);
}

} // namespace

int main() {
    setlinebuf(stdout);
    const std::string ours = testing::built("compositor-demo/share-compositor");
    const auto share = [&](const char* renderer) {
        return Server{fmt::format("share-compositor {}", renderer),
                      {ours, "--socket=bench", "--size={w}x{h}", "--refresh=0",
                       fmt::format("--renderer={}", renderer)}};
    };
    const auto weston = [](const char* renderer) {
        return Server{fmt::format("weston {}", renderer),
                      {"weston", "--backend=headless", fmt::format("--renderer={}", renderer), "--width={w}",
                       "--height={h}", "--refresh-rate=60000", "--no-config", "--idle-time=0",
                       "--shell=kiosk", "--socket=bench"}};
    };
    constexpr double none = 0;
    for (const Size size : {Size{1920, 1080}, Size{3840, 2160}}) {
        fmt::print("CPU time of the compositor a frame, {} frames, median (quartiles)\n",
                   blocks * frames_per_block);
        measure(share("pixman"), size, "composed", true, false, 0, 1.1);
        measure(share("gl"), size, "composed", true, true, 0, 1.3);
        measure(weston("pixman"), size, "composed", true, false, 0, none);
        measure(weston("gl"), size, "composed", true, true, 0, none);
        measure(share("pixman"), size, "passed through", false, false, 0, 0.03);
        measure(share("gl"), size, "passed through", false, true, 0, 0.03);
        measure(share("pixman"), size, "64x64 of damage, composed", true, false, 64, none);
        measure(share("gl"), size, "64x64 of damage, composed", true, true, 64, none);
        measure(weston("pixman"), size, "64x64 of damage, composed", true, false, 64, none);
        measure(weston("gl"), size, "64x64 of damage, composed", true, true, 64, none);
    }
}
