// SPDX-License-Identifier: MIT
#include <share/memory.hpp>

#include "os/file.hpp"
#include "os/map.hpp"

#include <fmt/format.h>

namespace share {

std::string_view to_string(MemoryKind kind) noexcept {
    switch (kind) {
    case MemoryKind::memfd:
        return "memfd";
    case MemoryKind::tmpfs:
        return "tmpfs";
    case MemoryKind::hugetlbfs:
        return "hugetlbfs";
    case MemoryKind::dmabuf:
        return "dma-buf";
    case MemoryKind::sysv:
        return "sysv";
    case MemoryKind::foreign:
        return "foreign";
    }
    return "unknown";
}

std::string_view to_string(CachePolicy policy) noexcept {
    using enum CachePolicy;
    return policy == cached ? "cached" : policy == write_combined ? "write-combined" : "unknown";
}

std::string_view to_string(CacheSource source) noexcept {
    return source == CacheSource::measured ? "measured" : "declared";
}

std::string_view to_string(Tristate state) noexcept {
    return state == Tristate::yes ? "yes" : state == Tristate::no ? "no" : "unknown";
}

std::string to_string(Exports set) {
    std::string text;
    const auto add = [&](Exports one, const char* name) {
        if (contains(set, one)) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
    };
    add(Exports::dmabuf, "dma-buf");
    add(Exports::memfd, "memfd");
    add(Exports::sysv, "sysv");
    return text.empty() ? "none" : text;
}

Result<Inode> inode_of(int fd) {
    auto status = os::status(fd);
    if (!status) return std::move(status).error();
    return Inode{status->device, status->inode};
}

Memory::Memory(std::uint64_t size, std::string heap, std::string name, const Traits& traits)
    : size_(size), heap_(std::move(heap)), name_(std::move(name)), traits_(traits) {}

Memory::~Memory() {
    if (!view_.empty()) os::unmap(view_);
}

Result<std::span<std::byte>> Memory::view(Access access) {
    const auto operation = [&] { return fmt::format("mapping {} bytes of {} '{}'", size_, heap_, name_); };
    if (!traits_.mappable)
        return make_error(Code::unsupported, operation(),
                          "this memory is for devices only and has no CPU mapping");
    if (writes(access) && !traits_.writable)
        return make_error(Code::denied, operation(),
                          "it was shared read-only; ask its owner for a writable one");
    const std::lock_guard lock(view_lock_);
    if (view_.empty()) {
        auto mapped = do_map(traits_.writable ? Access::read_write : Access::read);
        if (!mapped) return std::move(mapped).error();
        view_ = *mapped;
    }
    return view_;
}

Result<UniqueFd> Memory::export_dmabuf(std::uint64_t, std::uint64_t) {
    return make_error(Code::unsupported, fmt::format("exporting {} '{}' as dma-buf", heap_, name_),
                      fmt::format("the heap {} makes none; allocate from udmabuf", heap_));
}

} // namespace share
