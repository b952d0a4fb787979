// SPDX-License-Identifier: MIT
// Registration: foreign memory is held against all that a party needs when it comes in, and never again.
#include <share/import.hpp>

#include <fcntl.h>

#include <algorithm>

#include <fmt/format.h>

#include <share/candidate.hpp>

#include "memory/heaps/heaps.hpp"
#include "memory/sysv_memory.hpp"

namespace share {
namespace {

constexpr unsigned no_writing = F_SEAL_WRITE | 0x0010U; // F_SEAL_FUTURE_WRITE

/// The heap's name, where the kernel's word leaves no doubt.
std::string heap_of(const FdFacts& facts) {
    if (facts.kind == MemoryKind::memfd) return "memfd";
    if (facts.kind != MemoryKind::dmabuf) return {};
    if (facts.exporter == "udmabuf") return facts.exporter;
    const bool known = dma_heap_traits(facts.exporter).contiguous != Tristate::unknown;
    return known ? "dma-heap:" + facts.exporter : std::string();
}

MemoryFacts facts_of(const FdFacts& fd, const Memory& memory, const Registration& told) {
    MemoryFacts facts;
    facts.traits = memory.traits();
    facts.size = memory.size();
    facts.sealed = (fd.seals & no_writing) != 0;
    facts.heap = told.heap.empty() ? heap_of(fd) : told.heap;
    facts.device = told.device;
    // A driver's memory of which nobody says more is some device's.
    if (facts.device.empty() && facts.heap.empty() && fd.kind == MemoryKind::dmabuf)
        facts.device = fd.exporter.empty() ? "an unknown driver" : "the driver " + fd.exporter;
    return facts;
}

std::string contiguity_text(const Traits& traits) {
    return traits.contiguous == Tristate::no
               ? "it is scattered over many pages; take memory of a contiguous dma-heap (linux,cma)"
               : "whether it is contiguous is not known: its exporter does not say; take memory of a "
                 "dma-heap that "
                 "is known (linux,cma)";
}

/// What the memory is like, where it does not meet a need, and what to do.
std::string fact_text(Need need, const MemoryFacts& memory) {
    const auto& traits = memory.traits;
    switch (need) {
    case Need::size:
        return fmt::format("it has {} bytes; let its maker round the size up", memory.size);
    case Need::contiguity:
        return contiguity_text(traits);
    case Need::place:
        return memory.device.empty() ? "it is system memory"
                                     : fmt::format("it is memory of {}", memory.device);
    case Need::heap:
        return memory.heap.empty() ? "its heap is not known"
                                   : fmt::format("it is of the heap {}", memory.heap);
    case Need::page_size:
        return fmt::format("its pages have {} bytes", traits.page_size);
    case Need::cache:
        return traits.cache == CachePolicy::unknown ? "how it is cached is not known"
                                                    : fmt::format("it is {}", to_string(traits.cache));
    case Need::device_only:
        return "the kernel keeps it only while it is mapped";
    case Need::cpu_access:
        return "no CPU can map it so";
    case Need::writing:
        return "it can only be read: by its fd or by a seal; ask for a writable one";
    case Need::handle:
        return fmt::format("it can be given on as {} only", to_string(traits.exports));
    case Need::read_only:
        return "others can write it; seal it with F_SEAL_FUTURE_WRITE";
    default:
        return "it is not like that";
    }
}

Error refused(const std::string& operation, const Requirements& party, Need need, const std::string& fact) {
    return make_error(Code::unsupported, operation,
                      fmt::format("{} needs {}; {}", party.party.empty() ? "the user" : party.party,
                                  need_text(party, need), fact));
}

std::string layout_text(const Layout& layout, std::uint64_t start) {
    std::string text =
        fmt::format("the picture is {}x{} {} {}, {} bytes from byte {} on", layout.width(), layout.height(),
                    fourcc_text(layout.format()), modifier_text(layout.modifier()), layout.size(), start);
    for (const auto& plane : layout.planes())
        text += fmt::format(", a plane at {} with stride {}", start + plane.offset, plane.stride);
    return text;
}

Result<void> check_range(const ByteRange& range, std::uint64_t size, const Requirements& party,
                         const std::string& operation) {
    if (range.offset > size || range.length > size - range.offset)
        return make_error(Code::invalid_argument, operation,
                          fmt::format("bytes {} and {} more are asked for, but it has {}", range.offset,
                                      range.length, size));
    if (party.offset_align != 0 && range.offset % party.offset_align != 0)
        return refused(operation, party, Need::offset, fmt::format("it begins at byte {}", range.offset));
    return {};
}

struct Registered {
    std::shared_ptr<Memory> memory;
    std::string operation; ///< for errors to come
};

Result<Registered> register_fd(const Requirements& party, UniqueFd fd, const Registration& told) {
    auto rules = told.rules;
    rules.need_write |= party.writes();
    rules.device_only |= party.device_only;
    auto memory = import_fd(std::move(fd), rules);
    if (!memory) return std::move(memory).error();
    // Seals only grow: those that import_fd() added itself count too.
    auto facts = inspect_fd((*memory)->fd());
    if (!facts) return std::move(facts).error();
    auto operation = fmt::format("registering a {} of {} bytes for {}", to_string(facts->kind),
                                 (*memory)->size(), party.party.empty() ? "a user" : party.party);
    if (auto fits = check_range(told.range, (*memory)->size(), party, operation); !fits)
        return std::move(fits).error();
    const auto known = facts_of(*facts, **memory, told);
    if (const auto need = unmet(party, known))
        return refused(operation, party, *need, fact_text(*need, known));
    return Registered{*std::move(memory), std::move(operation)};
}

} // namespace

Result<std::shared_ptr<Memory>> import_fd(const Requirements& party, UniqueFd fd, const Registration& told) {
    auto registered = register_fd(party, std::move(fd), told);
    if (!registered) return std::move(registered).error();
    return std::move(registered->memory);
}

Result<std::shared_ptr<Buffer>> import_buffer(const Requirements& party, UniqueFd fd, const Layout& layout,
                                              const Registration& told, BufferOptions options) {
    auto registered = register_fd(party, std::move(fd), told);
    if (!registered) return std::move(registered).error();
    if (const auto need = unmet(party, layout, told.range.offset))
        return refused(registered->operation, party, *need, layout_text(layout, told.range.offset));
    return Buffer::create(std::move(registered->memory), told.range.offset, layout, std::move(options));
}

Result<std::shared_ptr<Memory>> import_sysv(const Requirements& party, int shmid, const SysvRules& rules) {
    auto memory = import_sysv(shmid, rules);
    if (!memory) return memory;
    MemoryFacts known;
    known.traits = (*memory)->traits();
    known.heap = "sysv";
    known.size = (*memory)->size();
    if (const auto need = unmet(party, known))
        return refused(fmt::format("registering System V segment {} for {}", shmid,
                                   party.party.empty() ? "a user" : party.party),
                       party, *need, fact_text(*need, known));
    return memory;
}

} // namespace share
