// SPDX-License-Identifier: MIT
// Parties and heaps that the tests of this room share. All invented, after devices that exist.
#pragma once

#include <share/candidate.hpp>

namespace parties {

using namespace share;

inline const std::string gpu = "/dev/dri/renderD128", other_gpu = "/dev/dri/renderD129";
inline constexpr std::uint64_t tiled = 0x0200000000000001ULL; // a modifier of one vendor

inline FormatChoice choice(Fourcc format, std::uint64_t modifier = modifier::linear,
                           ProbeState state = ProbeState::good) {
    FormatChoice choice;
    choice.pair = {format, modifier};
    choice.state = state;
    return choice;
}

inline FormatChoice implicit_rows(Fourcc format) {
    FormatChoice rows = choice(format, modifier::none);
    rows.implicit_is_linear = true;
    return rows;
}

inline HeapOffer memfd() {
    HeapOffer heap{.name = "memfd"};
    heap.traits.kind = MemoryKind::memfd;
    heap.traits.contiguous = Tristate::no;
    heap.traits.cache = CachePolicy::cached;
    heap.traits.swappable = true;
    heap.traits.exports = Exports::memfd;
    return heap;
}

inline HeapOffer udmabuf() {
    HeapOffer heap = memfd();
    heap.name = "udmabuf";
    heap.traits.exports = Exports::memfd | Exports::dmabuf;
    return heap;
}

inline HeapOffer huge() {
    HeapOffer heap = memfd();
    heap.name = "memfd-huge:2M";
    heap.traits.kind = MemoryKind::hugetlbfs;
    heap.traits.page_size = 2U << 20;
    heap.traits.swappable = false;
    return heap;
}

inline HeapOffer sysv() {
    HeapOffer heap = memfd();
    heap.name = "sysv";
    heap.traits.kind = MemoryKind::sysv;
    heap.traits.exports = Exports::sysv;
    heap.traits.needs_mapping = true;
    return heap;
}

inline HeapOffer cma() {
    HeapOffer heap{.name = "dma-heap:linux,cma"};
    heap.traits.kind = MemoryKind::dmabuf;
    heap.traits.contiguous = Tristate::yes;
    heap.traits.cache = CachePolicy::cached;
    heap.traits.exports = Exports::dmabuf;
    return heap;
}

inline HeapOffer dumb() {
    HeapOffer heap{.name = "dumb:card0", .device = "/dev/dri/card0"};
    heap.traits.kind = MemoryKind::dmabuf;
    heap.traits.cache = CachePolicy::write_combined;
    heap.traits.exports = Exports::dmabuf;
    return heap;
}

/// Pictures that the GPU's driver allocates.
inline HeapOffer driver(const std::string& device = gpu) {
    HeapOffer heap{.name = "driver", .device = device, .driver_layouts = true};
    heap.traits.kind = MemoryKind::dmabuf;
    heap.traits.exports = Exports::dmabuf;
    heap.traits.mappable = false;
    return heap;
}

inline std::vector<HeapOffer> machine() {
    return {udmabuf(), memfd(), sysv(), cma(), dumb()};
}

/// XR24 in rows, in the memory of `heap`, for parties that want nothing.
inline Candidate candidate(const HeapOffer& heap = udmabuf()) {
    Candidate c;
    c.pair = {format::xrgb8888, modifier::linear};
    c.heap = heap;
    c.exports = exports_of(heap, false);
    return c;
}

} // namespace parties
