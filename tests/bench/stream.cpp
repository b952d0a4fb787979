// SPDX-License-Identifier: MIT
// What a steady frame of share-producer costs beside its pixels: page faults and fds sent. Told from outside:
// a long run less a short one, so that start-up cancels out.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "bench.hpp"
#include "process.hpp"

namespace {

struct Cost {
    int status = -1;
    long minor_faults = 0;
    long fds_sent = 0;
};

/// libwayland's own trace prints each request; an fd argument reads "fd N".
long count_fds_in(const std::string& trace_file) {
    std::ifstream in(trace_file);
    long count = 0;
    for (std::string line; std::getline(in, line);)
        if (line.find(" -> ") != std::string::npos)
            for (std::size_t at = 0; (at = line.find("fd ", at)) != std::string::npos; at += 3)
                if (at > 0 && (line[at - 1] == '(' || line[at - 1] == ' ')) ++count;
    return count;
}

Cost run_producer(const std::string& runtime_dir, const std::string& image, int frames, bool trace) {
    const std::string producer = testing::built("producer/share-producer");
    const std::string trace_file = runtime_dir + "/trace";
    const std::string count = fmt::format("--frames={}", frames);
    const pid_t child = fork();
    if (child == 0) {
        const int out = open(trace_file.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
        dup2(out, 1);
        dup2(out, 2);
        setenv("XDG_RUNTIME_DIR", runtime_dir.c_str(), 1);
        setenv("WAYLAND_DISPLAY", "bench", 1);
        if (trace)
            setenv("WAYLAND_DEBUG", "client", 1);
        else
            unsetenv("WAYLAND_DEBUG");
        execl(producer.c_str(), producer.c_str(), count.c_str(), image.c_str(), nullptr);
        _exit(127);
    }
    Cost cost;
    struct rusage usage{};
    wait4(child, &cost.status, 0, &usage);
    cost.minor_faults = usage.ru_minflt;
    if (trace) cost.fds_sent = count_fds_in(trace_file);
    return cost;
}

void measure(unsigned width, unsigned height, int few, int many) {
    const std::string what = fmt::format("{}x{}", width, height);
    const testing::TempDir dir;
    const std::string image = dir / "card.jpg";
    auto made = testing::run(
        {.args = {testing::built("producer/share-producer"), "--test-card=" + image, "--size=" + what}});
    if (made.status != 0) {
        bench::print_value("steady frame of share-producer", "skipped: no test card: " + made.err);
        return;
    }
    testing::Process server(
        {.env = {"XDG_RUNTIME_DIR=" + dir.path().string()},
         .args = {testing::built("compositor-demo/share-compositor"), "--socket=bench", "--refresh=0"}});
    if (!testing::eventually([&] { return std::filesystem::exists(dir / "bench"); })) {
        bench::print_value("steady frame of share-producer",
                           "skipped: share-compositor did not start: " + server.err());
        return;
    }
    const auto a = run_producer(dir.path(), image, few, false),
               b = run_producer(dir.path(), image, many, false);
    const auto c = run_producer(dir.path(), image, few, true),
               d = run_producer(dir.path(), image, many, true);
    if (a.status != 0 || b.status != 0 || c.status != 0 || d.status != 0) {
        bench::print_value("steady frame of share-producer", "failed: it did not exit with 0");
        return;
    }
    fmt::print("share-producer on share-compositor, {}, {} frames more\n", what, many - few);
    bench::print_value("minor page faults per steady frame",
                       fmt::format("{:.3f}  (target 0)",
                                   static_cast<double>(b.minor_faults - a.minor_faults) / (many - few)));
    bench::print_value("fds sent per steady frame",
                       fmt::format("{:.3f}  (target 0; {} at start-up)",
                                   static_cast<double>(d.fds_sent - c.fds_sent) / (many - few), c.fds_sent));
}

} // namespace

int main() {
    // The short run is longer than the ledger is (64 frames): what it keeps is start-up too.
    measure(1920, 1080, 100, 300);
    measure(3840, 2160, 100, 160); // its buffers are large enough for malloc to give them back
    return 0;
}
