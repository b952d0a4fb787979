// SPDX-License-Identifier: MIT
#include <share/heap.hpp>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "memory/heaps/heaps.hpp"

namespace share {

HeapTable::HeapTable() = default;
HeapTable::HeapTable(HeapTable&&) noexcept = default;
HeapTable& HeapTable::operator=(HeapTable&&) noexcept = default;
HeapTable::~HeapTable() = default;

HeapTable HeapTable::probe() {
    struct Candidate {
        const char* name;
        Result<std::unique_ptr<Heap>> (*open)();
    };
    static constexpr std::array candidates{
        // best first
        Candidate{"udmabuf", open_udmabuf_heap},
        Candidate{"memfd", open_memfd_heap},
        Candidate{"sysv", open_sysv_heap},
    };
    HeapTable table;
    for (const auto& candidate : candidates) {
        auto heap = candidate.open();
        if (heap)
            table.add({candidate.name, std::move(*heap), {}});
        else
            table.add({candidate.name, nullptr, std::move(heap).error()});
    }
    add_huge_heaps(table);
    add_dma_heaps(table);
    return table;
}

Result<Heap*> HeapTable::find(std::string_view name) const {
    const auto at = std::find_if(entries_.begin(), entries_.end(),
                                 [&](const Entry& entry) { return entry.name == name; });
    if (at == entries_.end()) {
        std::string known;
        for (const auto& entry : entries_)
            known += (known.empty() ? "" : ", ") + entry.name;
        return make_error(Code::invalid_argument, fmt::format("choosing the heap '{}'", name),
                          fmt::format("known heaps: {}", known));
    }
    if (!at->heap) return at->reason;
    return at->heap.get();
}

Result<Heap*> HeapTable::first_of(std::initializer_list<std::string_view> names) const {
    std::string reasons;
    for (const auto name : names) {
        auto heap = find(name);
        if (heap) return heap;
        reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", name, heap.error().text());
    }
    return make_error(Code::unavailable, "choosing a heap", reasons);
}

} // namespace share
