// SPDX-License-Identifier: MIT
// What negotiation costs, against what follows it: the allocation of one frame.
#include <cstdio>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include <share/share.hpp>

#include "bench.hpp"

using namespace share;

namespace {

constexpr int repeats = 20;

/// As long as a GPU's list: 20 formats, each with 9 modifiers, every party in an order of its own.
Requirements gpu_like(unsigned number) {
    Requirements r{.party = fmt::format("party {}", number), .device = "/dev/dri/renderD128"};
    constexpr unsigned formats = 20, modifiers = 9;
    for (unsigned i = 0; i < formats * modifiers; ++i) {
        const unsigned at =
            (i * 7 + number * 13) % (formats * modifiers); // 7 has no divisor in common with 180
        FormatChoice choice;
        choice.pair.format = known_formats()[(at / modifiers) % known_formats().size()].code;
        choice.pair.modifier =
            at % modifiers == 0 ? modifier::linear : 0x0200000000000000ULL + at % modifiers;
        choice.state = choice.pair.modifier == modifier::linear ? ProbeState::good : ProbeState::unprobeable;
        r.formats.push_back(choice);
    }
    r.stride_align = 64U << (number % 3);
    r.max_width = r.max_height = 16384;
    if (number % 4 == 0) r.cpu_read = Pattern::sequential;
    return r;
}

std::vector<Requirements> parties(unsigned count) {
    std::vector<Requirements> all;
    for (unsigned i = 0; i < count; ++i)
        all.push_back(gpu_like(i));
    return all;
}

std::vector<HeapOffer> heaps() {
    std::vector<HeapOffer> all;
    for (const char* name :
         {"udmabuf", "memfd", "memfd-huge", "sysv", "dma-heap:system", "dma-heap:linux,cma"}) {
        HeapOffer heap{.name = name};
        heap.traits.cache = CachePolicy::cached;
        heap.traits.exports = Exports::memfd | Exports::dmabuf;
        all.push_back(heap);
    }
    return all;
}

void must(bool ok, const char* what) {
    if (ok) return;
    std::fprintf(stderr, "bench-negotiate: %s\n", what);
    std::exit(1);
}

} // namespace

int main() {
    const auto offers = heaps();
    const auto two = parties(2), five = parties(5), twenty = parties(20);
    auto quarrel = twenty; // the last two agree with everybody but one another
    quarrel[18].sharing = Sharing::exclusive;
    quarrel[19].sharing = Sharing::consistent;
    const auto table = HeapTable::probe();
    const auto heap = table.find("memfd");
    const auto layout = Layout::linear(1920, 1080, format::xrgb8888);
    must(heap.ok() && layout.ok(), "no memfd heap");

    const auto negotiating = [&](const std::vector<Requirements>& all, bool agreed) {
        return [&, agreed] {
            for (int i = 0; i < repeats; ++i)
                must(std::holds_alternative<Agreement>(negotiate(all, offers)) == agreed, "another answer");
        };
    };
    const auto frame = [&] {
        for (int i = 0; i < repeats; ++i) {
            auto memory = (*heap)->allocate(layout->size(), "bench");
            must(memory && (*memory)->view(Access::write), "no memory");
            volatile std::byte* bytes = (*memory)->view(Access::write)->data();
            for (std::uint64_t at = 0; at < layout->size(); at += 4096)
                bytes[at] = std::byte{1};
        }
    };
    const std::vector<std::function<void()>> subjects{frame, negotiating(two, true), negotiating(five, true),
                                                      negotiating(twenty, true), negotiating(quarrel, false)};
    const auto seconds = bench::rounds(subjects, 15);

    std::printf("negotiate(): lists of 180 pairs of format and modifier each, 6 heaps\n");
    const auto line = [&](const char* name, std::size_t subject) {
        bench::print_ratio(name, "a fresh 1080p frame", seconds[subject], seconds[0], 0);
        bench::print_value("",
                           fmt::format("{:.1f} us", bench::spread(seconds[subject]).median * 1e6 / repeats));
    };
    line("2 parties", 1);
    line("5 parties", 2);
    line("20 parties", 3);
    line("20 parties, a conflict of two of them found and named", 4);
    bench::print_ratio("20 parties", "2 parties", seconds[3], seconds[1], 0);
}
