// SPDX-License-Identifier: MIT
#include <share/cache_probe.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "os/dmabuf.hpp"

namespace share {
namespace {

constexpr std::size_t words = 2048; ///< 16 KiB: in the smallest first-level cache, if in any
constexpr int passes = 12;

using Word = volatile std::uint64_t;

/// volatile: each word is really read and written, one by one.
double read_pass(const Word* memory) noexcept {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < words; ++i)
        (void)memory[i];
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
}

double write_pass(Word* memory, std::uint64_t value) noexcept {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < words; ++i)
        memory[i] = value;
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
}

/// The least of all passes: what disturbs a pass only ever makes it longer. The two memories take turns, so
/// that a busy machine disturbs both.
CacheTimes measure(Word* asked, Word* ordinary) noexcept {
    constexpr double never = std::numeric_limits<double>::max();
    CacheTimes best{never, never, never, never};
    for (int pass = 0; pass < passes; ++pass) {
        const auto value = static_cast<std::uint64_t>(pass);
        best.ordinary_write = std::min(best.ordinary_write, write_pass(ordinary, value));
        best.write = std::min(best.write, write_pass(asked, value));
        // The first pass after writing may fill the cache, the second finds it filled.
        (void)read_pass(ordinary);
        best.ordinary_read = std::min(best.ordinary_read, read_pass(ordinary));
        (void)read_pass(asked);
        best.read = std::min(best.read, read_pass(asked));
    }
    return best;
}

} // namespace

CachePolicy judge_cache(const CacheTimes& times) noexcept {
    constexpr double near = 4, far = 16, combining = 4;
    if (times.read <= 0 || times.ordinary_read <= 0) return CachePolicy::unknown;
    if (times.read <= near * times.ordinary_read) return CachePolicy::cached;
    if (times.read < far * times.ordinary_read) return CachePolicy::unknown;
    // Not cached. Where writes go out one by one as well, there is no word for it here.
    return times.write * combining <= times.read ? CachePolicy::write_combined : CachePolicy::unknown;
}

Result<CacheTimes> time_cache(Heap& heap) {
    auto memory = heap.allocate(words * sizeof(std::uint64_t), "share-cache-probe");
    if (!memory) return std::move(memory).error();
    auto view = (*memory)->view(Access::read_write);
    if (!view) return std::move(view).error();
    const bool dmabuf = (*memory)->traits().kind == MemoryKind::dmabuf;
    if (dmabuf)
        if (auto begun = os::sync_begin((*memory)->fd(), Access::read_write); !begun)
            return std::move(begun).error();
    std::vector<std::uint64_t> ordinary(words);
    const auto times = measure(reinterpret_cast<Word*>(view->data()), ordinary.data());
    if (dmabuf)
        if (auto ended = os::sync_end((*memory)->fd(), Access::read_write); !ended)
            return std::move(ended).error();
    return times;
}

void measure_cache(Heap& heap, Traits& traits) {
    const auto times = time_cache(heap);
    if (!times) return; // what was declared, or unknown, stays
    traits.cache = judge_cache(*times);
    traits.cache_source = CacheSource::measured;
}

} // namespace share
