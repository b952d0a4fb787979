// SPDX-License-Identifier: MIT
#include <share/negotiate.hpp>

#include <fmt/format.h>

namespace share {
namespace {

/// Writable memory must not pass for memory that nobody can write.
Error no_seal(const Candidate& candidate, std::string_view name) {
    return make_error(
        Code::unsupported, fmt::format("allocating sealed memory of {} for '{}'", candidate.heap.name, name),
        "a party asks that its peers cannot write (read_only_to_peers), and no heap of this version can be "
        "sealed after its writer has mapped it; create a memfd with F_SEAL_SHRINK and F_SEAL_GROW, map it, "
        "add "
        "F_SEAL_FUTURE_WRITE and give its fd to the peers, or negotiate without read_only_to_peers");
}

Result<Allocated> allocate_one(const Candidate& candidate, const HeapTable& heaps, std::uint32_t width,
                               std::uint32_t height, std::string_view name) {
    if (candidate.sealed) return no_seal(candidate, name);
    auto layout = layout_of(candidate, width, height);
    if (!layout) return std::move(layout).error();
    auto heap = heaps.find(candidate.heap.name);
    if (!heap) return std::move(heap).error();
    auto memory = (*heap)->allocate(layout->size(), name, allocate_options(candidate));
    if (!memory) return std::move(memory).error();
    return Allocated{candidate, *layout, std::move(*memory)};
}

/// A device node of a GPU or display is whose memory it is; /dev/udmabuf and dma-heaps give system memory.
std::string device_of(const Heap& heap) {
    auto privilege = heap.privilege();
    const bool device =
        privilege.kind == Privilege::Kind::device_node && privilege.path.starts_with("/dev/dri/");
    return device ? std::move(privilege.path) : std::string();
}

} // namespace

std::vector<HeapOffer> offers_of(const HeapTable& heaps) {
    std::vector<HeapOffer> offers;
    for (const auto& entry : heaps.entries()) {
        if (!entry.heap) continue;
        offers.push_back(
            {.name = entry.name, .traits = entry.heap->traits(), .device = device_of(*entry.heap)});
    }
    return offers;
}

Result<Allocated> allocate(const Agreement& agreement, const HeapTable& heaps, std::uint32_t width,
                           std::uint32_t height, std::string_view name) {
    std::optional<Error> first;
    for (const auto& choice : agreement.choices) {
        auto allocated = allocate_one(choice.candidate, heaps, width, height, name);
        if (allocated) return allocated;
        if (first)
            first->detail +=
                fmt::format("; then {}: {}", choice.candidate.heap.name, allocated.error().text());
        else
            first = std::move(allocated).error();
    }
    if (first) return std::move(*first);
    return make_error(Code::invalid_argument, fmt::format("allocating for '{}'", name),
                      "the agreement has no candidate");
}

} // namespace share
