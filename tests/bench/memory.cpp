// SPDX-License-Identifier: MIT
// What memory costs: a frame that is allocated anew, against one that is recycled, from each heap; and huge
// pages against small ones, for rows written in order (a decode) and for reads all over the place.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/pages.hpp>
#include <share/pool.hpp>
#ifdef BENCH_MEDIA
#include <share/media/image.hpp>
#include <share/media/test_card.hpp>
#endif

#include "bench.hpp"
#include "process.hpp"

using namespace share;

namespace {

template<class T>
T must(Result<T> result) {
    if (!result) {
        fmt::print(stderr, "bench-memory: {}\n", result.error().text());
        std::exit(1);
    }
    return std::move(result).value();
}

/// In the test VM, whose clock of CPU time ticks every 10 ms, time as it passes is the better measure:
/// --wall.
bool wall = false;

std::vector<std::vector<double>> rounds(const std::vector<std::function<void()>>& subjects, int count) {
    if (!wall) return bench::rounds(subjects, count);
    using Clock = std::chrono::steady_clock;
    std::vector<std::vector<double>> result(subjects.size());
    for (int round = -1; round < count; ++round) {
        for (std::size_t i = 0; i < subjects.size(); ++i) {
            const auto start = Clock::now();
            subjects[i]();
            if (round >= 0) result[i].push_back(std::chrono::duration<double>(Clock::now() - start).count());
        }
    }
    return result;
}

long page_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

void fill(Buffer& buffer, int value) {
    auto mapping = must(buffer.map(Access::write, Deadline::none()));
    std::memset(mapping.plane(0).data(), value, mapping.plane(0).size());
}

std::string faults_text(long fresh, long recycled) {
    return fmt::format("{} page faults fresh, {} recycled", fresh, recycled);
}

/// A fresh frame is allocated, mapped, written once and given back; a recycled one is only written.
void frame_of(Heap& heap, std::string_view name, const Layout& layout, int count) {
    auto made = Pool::create(heap, layout, 3, "bench");
    if (made) // one frame more than the pool's is needed
        if (auto spare = heap.allocate(layout.size(), "bench frame"); !spare) made = std::move(spare).error();
    if (!made) {
        bench::print_value(std::string(name), "left out: " + made.error().text());
        return;
    }
    Pool pool = std::move(made).value();
    std::uint32_t turn = 0;
    int value = 0;
    const auto fresh = [&] {
        auto memory = must(heap.allocate(layout.size(), "bench frame"));
        fill(*must(Buffer::create(memory, 0, layout)), ++value);
    };
    const auto recycled = [&] { fill(*pool.buffer(turn++ % pool.slot_count()), ++value); };
    std::vector<std::vector<unsigned char>> warm(3, std::vector<unsigned char>(layout.size()));
    const auto private_fill = [&] {
        auto& into = warm[static_cast<std::size_t>(++value) % warm.size()];
        std::memset(into.data(), value, into.size());
    };
    for (int i = 0; i < 3; ++i)
        recycled();
    const auto times = rounds({fresh, recycled, private_fill}, count);
    const long before = page_faults();
    fresh();
    const long between = page_faults();
    recycled();
    const long after = page_faults();
    bench::print_ratio(fmt::format("{}: fresh frame", name), "the recycled one", times[0], times[1], 0);
    bench::print_ratio(fmt::format("{}: recycled frame", name), "warm private memory", times[1], times[2], 0);
    bench::print_value("", faults_text(between - before, after - between));
}

void frames_by_heap(const HeapTable& table, std::uint32_t width, std::uint32_t height, int count) {
    const auto layout = must(Layout::linear(width, height, format::xrgb8888));
    fmt::print("A frame of {}x{} by heap, {} rounds, {} time, median (quartiles)\n", width, height, count,
               wall ? "elapsed" : "CPU");
    for (const auto& entry : table.entries()) {
        if (!entry.heap)
            bench::print_value(entry.name, "not here: " + entry.reason.text());
        else if (!entry.heap->traits().mappable)
            bench::print_value(entry.name, "for devices only");
        else if (entry.name != "memfd-huge") // it is one of the others
            frame_of(*entry.heap, entry.name, layout, count);
    }
}

struct Walk {
    std::shared_ptr<Memory> memory;
    std::span<std::byte> bytes;
};

/// Each 64 bytes hold the number of the next ones to visit; all are visited once, in no order.
Walk walk_of(Heap& heap, std::uint64_t size, const std::vector<std::uint32_t>& order) {
    Walk walk{must(heap.allocate(size, "bench walk")), {}};
    walk.bytes = must(walk.memory->view(Access::read_write));
    for (std::size_t i = 0; i < order.size(); ++i)
        std::memcpy(walk.bytes.data() + order[i] * std::size_t{64}, &order[(i + 1) % order.size()], 4);
    return walk;
}

std::uint32_t walk_on(const Walk& walk, int steps) {
    static std::uint32_t at = 0; // each round goes on where the last one ended
    for (int i = 0; i < steps; ++i)
        std::memcpy(&at, walk.bytes.data() + at * std::size_t{64}, 4);
    return at;
}

void scattered(Heap& small, Heap& huge, std::string_view name, std::uint64_t size) {
    std::vector<std::uint32_t> order(size / 64);
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), std::mt19937(7)); // NOLINT: the same walk each time
    auto refused = huge.allocate(size, "bench walk");
    if (!refused) return bench::print_value(fmt::format("{}: scattered walk", name), refused.error().text());
    refused->reset();
    const Walk in_small = walk_of(small, size, order), in_huge = walk_of(huge, size, order);
    const auto report = must(page_report(*in_huge.memory));
    volatile std::uint32_t sink = 0;
    const auto times = bench::rounds(
        {[&] { sink = walk_on(in_huge, 400'000); }, [&] { sink = walk_on(in_small, 400'000); }}, 15);
    bench::print_ratio(fmt::format("{}: scattered walk over {} MiB", name, size >> 20U), "memfd", times[0],
                       times[1], 0);
    bench::print_value("", fmt::format("{} % of it in huge pages",
                                       report.resident ? 100 * report.huge / report.resident : 0));
}

#ifdef BENCH_MEDIA
void decode(Heap& small, Heap& huge, std::string_view name, std::uint32_t width, std::uint32_t height) {
    const testing::TempDir dir;
    const std::string path = dir / "card.jpg";
    if (auto written = media::write_test_card(path, width, height); !written) must<int>(written.error());
    auto source = must(media::open_image(path));
    const auto layout = must(Layout::linear(width, height, format::xrgb8888));
    auto made = Pool::create(huge, layout, 3, "bench");
    if (!made) return bench::print_value(fmt::format("{}: decode", name), made.error().text());
    Pool in_huge = std::move(*made), in_small = must(Pool::create(small, layout, 3, "bench"));
    std::uint32_t turn = 0;
    const auto decode_into = [&](Pool& pool) {
        auto mapping =
            must(pool.buffer(turn++ / 2 % pool.slot_count())->map(Access::write, Deadline::none()));
        FrameRecord record;
        if (auto read = source->read(mapping, record); !read) must<int>(read.error());
    };
    for (int i = 0; i < 6; ++i) { // all pages are there before it counts
        decode_into(in_huge);
        decode_into(in_small);
    }
    const auto times = rounds({[&] { decode_into(in_huge); }, [&] { decode_into(in_small); }}, 20);
    bench::print_ratio(fmt::format("{}: decode of a {}x{} JPEG", name, width, height), "memfd, both recycled",
                       times[0], times[1], 0);
}
#endif

} // namespace

int main(int argc, char** argv) {
    wall = argc > 1 && std::string_view(argv[1]) == "--wall";
    const auto table = HeapTable::probe();
    frames_by_heap(table, 1920, 1080, 30);
    frames_by_heap(table, 3840, 2160, 12);
    fmt::print("Huge pages against small ones, CPU time, median (quartiles)\n");
    Heap& small = *must(table.find("memfd"));
    for (const auto* name : {"memfd-huge:2M", "memfd-huge:thp"}) {
        auto huge = table.find(name);
        if (!huge) {
            bench::print_value(name, "not here: " + huge.error().text());
            continue;
        }
#ifdef BENCH_MEDIA
        decode(small, **huge, name, 3840, 2160);
#endif
        scattered(small, **huge, name, std::uint64_t{256} << 20U);
    }
}
