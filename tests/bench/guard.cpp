// SPDX-License-Identifier: MIT
// What a guard costs: the same steps on two equal buffers, one of them guarded. CPU time of the calling
// thread; the thread that reads the guards' events adds a wake-up for each time that memory is taken.
#include <share/guard.hpp>
#include <share/pool.hpp>

#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

#include <fmt/format.h>

#include "bench.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

template<class T>
T must(Result<T> result) {
    if (result) return std::move(*result);
    fmt::print(stderr, "{}\n", result.error().text());
    std::exit(1);
}

std::function<void()> repeat(int times, std::function<void()> step) {
    return [times, step = std::move(step)] {
        for (int i = 0; i < times; ++i)
            step();
    };
}

void attach_and_release(Buffer& buffer) {
    (void)must(buffer.attach(Access::read, "a device", Deadline::none()));
}

void bracket(Buffer& buffer) {
    (void)must(buffer.map(Access::write, Deadline::none()));
}

void write_frame(Buffer& buffer) {
    const auto mapping = must(buffer.map(Access::write, Deadline::none()));
    const auto plane = mapping.plane(0);
    std::memset(plane.data(), 1, plane.size());
}

void compare(Buffer& plain, Buffer& guarded, const std::string& size) {
    const auto both = [&](const std::string& name, int times, auto step) {
        const auto seconds =
            bench::rounds({repeat(times, [&] { step(plain); }), repeat(times, [&] { step(guarded); })}, 9);
        bench::print_ratio(fmt::format("{}, {}", name, size), "the same without a guard", seconds[1],
                           seconds[0], 0);
        return bench::spread(seconds[1]).median / times;
    };
    both("a write bracket alone", 2000, bracket);
    const double taken = both("attach + release (taken, given back)", 20, attach_and_release);
    both("frame written in a bracket, then attach + release", 20, [](Buffer& buffer) {
        write_frame(buffer);
        attach_and_release(buffer);
    });
    const auto writing = bench::rounds({repeat(20, [&] { write_frame(plain); })}, 9);
    bench::print_value(fmt::format("taken and given back, {}", size),
                       fmt::format("{:.2f} times writing all of its bytes once",
                                   taken * 20 / bench::spread(writing[0]).median));
}

} // namespace

int main() {
    const auto heaps = HeapTable::probe();
    fmt::print("guard: on and off\n");
    for (const auto& [width, height] : {std::pair{640U, 480U}, {1920U, 1080U}}) {
        const auto layout = must(Layout::linear(width, height, format::xrgb8888));
        const auto pool = must(Pool::create(*must(heaps.find("memfd")), layout, 2, "bench guard"));
        GuardOptions options;
        options.owns_last_page = true;
        auto guard = Guard::create(pool.buffer(1), options);
        if (!guard) {
            fmt::print("  not measured: {}\n", guard.error().text());
            return 0;
        }
        for (std::uint32_t i = 0; i < 2; ++i)
            write_frame(*pool.buffer(i));
        compare(*pool.buffer(0), *pool.buffer(1), fmt::format("{}x{} XRGB8888", width, height));
    }
}
