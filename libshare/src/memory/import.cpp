// SPDX-License-Identifier: MIT
#include <share/import.hpp>

#include <fcntl.h>

#include <fmt/format.h>

#include "memory/file_memory.hpp"
#include "memory/foreign.hpp"
#include "memory/heaps/heaps.hpp"
#include "memory/sysv_memory.hpp"
#include "os/dmabuf.hpp"

namespace share {
namespace {

constexpr unsigned no_writing = F_SEAL_WRITE | 0x0010U; // F_SEAL_FUTURE_WRITE

Traits traits_of(const FdFacts& facts, std::size_t page) noexcept {
    Traits traits;
    traits.kind = facts.kind;
    traits.cache = CachePolicy::cached;
    if (facts.kind == MemoryKind::dmabuf) {
        // The exporter's name is the kernel's word; of drivers it says nothing.
        const bool udmabuf = facts.exporter == "udmabuf";
        const auto heap = dma_heap_traits(facts.exporter);
        traits.contiguous = udmabuf ? Tristate::no : heap.contiguous;
        traits.cache = udmabuf ? CachePolicy::cached : heap.cache;
    }
    traits.page_size = page;
    traits.swappable = facts.kind == MemoryKind::memfd || facts.kind == MemoryKind::tmpfs;
    traits.exports = facts.kind == MemoryKind::dmabuf ? Exports::dmabuf : Exports::memfd;
    traits.can_shrink = facts.can_lose_pages();
    traits.foreign = true;
    // A writable fd of a write-sealed file maps for reading only.
    traits.writable = facts.writable && (facts.seals & no_writing) == 0;
    return traits;
}

Result<void> check_rules(const FdFacts& facts, const ImportRules& rules) {
    const auto operation = fmt::format("importing a {} of {} bytes", to_string(facts.kind), facts.size);
    if (facts.kind == MemoryKind::dmabuf ? !rules.accept_dmabuf : !rules.accept_memfd)
        return make_error(
            Code::unsupported, operation,
            fmt::format("this user takes {} only", rules.accept_dmabuf ? "dma-bufs" : "memfds"));
    if (!facts.readable)
        return make_error(Code::denied, operation, "the fd is write-only; open it for reading and writing");
    if (rules.need_write && (!facts.writable || (facts.seals & no_writing) != 0))
        return make_error(Code::denied, operation, "the fd or its seals allow reading only");
    if (facts.can_lose_pages() && !rules.accept_shrinkable)
        return make_error(
            Code::unsupported, operation,
            (facts.seals & F_SEAL_SHRINK) == 0
                ? "its owner can truncate it under us; seal it with F_SEAL_SHRINK"
                : "its owner can punch holes into its huge pages, which may then be gone for good; seal it "
                  "with F_SEAL_WRITE as well, or share ordinary pages");
    if (facts.size < rules.min_size)
        return make_error(Code::invalid_argument, operation,
                          fmt::format("at least {} bytes are needed", rules.min_size));
    return {};
}

} // namespace

bool FdFacts::can_lose_pages() const noexcept {
    if (kind == MemoryKind::dmabuf) return false;
    if ((seals & F_SEAL_SHRINK) == 0) return true;
    return kind == MemoryKind::hugetlbfs && (seals & no_writing) == 0;
}

Result<FdFacts> inspect_fd(int fd) {
    auto status = os::status(fd);
    if (!status) return std::move(status).error();
    const auto operation = [&] { return fmt::format("inspecting fd {}", fd); };
    if ((status->flags & O_PATH) != 0)
        return make_error(Code::invalid_argument, operation(),
                          "it was opened with O_PATH and gives no access to bytes; open it for reading and "
                          "writing");
    FdFacts facts;
    facts.inode = {status->device, status->inode};
    facts.readable = (status->flags & O_ACCMODE) != O_WRONLY;
    facts.writable = (status->flags & O_ACCMODE) != O_RDONLY;
    if (status->fs_type == os::fs_dmabuf) {
        auto size = os::seek_end(fd);
        if (!size) return std::move(size).error();
        facts.kind = MemoryKind::dmabuf;
        facts.size = *size;
        facts.exporter = os::dmabuf_exporter(fd);
        return facts;
    }
    if (auto why = refusal_of(fd, *status))
        return make_error(Code::unsupported, operation(), *std::move(why));
    facts.seals = os::seals(fd);
    // The size that counts is the one read after the seals: sealed first, it can no longer shrink.
    auto sealed = os::status(fd);
    if (!sealed) return std::move(sealed).error();
    facts.size = sealed->size;
    if (status->fs_type == os::fs_hugetlbfs)
        facts.kind = MemoryKind::hugetlbfs;
    else
        facts.kind = (facts.seals & F_SEAL_SHRINK) != 0 ? MemoryKind::memfd : MemoryKind::tmpfs;
    return facts;
}

Result<std::shared_ptr<Memory>> import_fd(UniqueFd fd, const ImportRules& rules) {
    auto facts = inspect_fd(fd.get());
    if (!facts) return std::move(facts).error();
    if (rules.may_seal && facts->kind != MemoryKind::dmabuf && (facts->seals & F_SEAL_SHRINK) == 0 &&
        os::add_seals(fd.get(), F_SEAL_SHRINK)) {
        facts = inspect_fd(fd.get());
        if (!facts) return std::move(facts).error();
    }
    if (auto good = check_rules(*facts, rules); !good) return std::move(good).error();
    std::size_t page = os::page_size();
    if (facts->kind == MemoryKind::hugetlbfs) {
        auto status = os::status(fd.get());
        if (!status) return std::move(status).error();
        page = status->fs_block;
    }
    auto traits = traits_of(*facts, page);
    if (rules.device_only) traits.mappable = false;
    return std::shared_ptr<Memory>(std::make_shared<FileMemory>(std::move(fd), facts->size, "imported",
                                                                std::string(to_string(facts->kind)), traits));
}

Result<std::shared_ptr<Memory>> import_sysv(int shmid, const SysvRules& rules) {
    const auto operation = [&] { return fmt::format("importing System V segment {}", shmid); };
    auto before = os::segment_status(shmid);
    if (!before) return std::move(before).error();
    const unsigned self = os::effective_uid();
    if (rules.own_and_private && (before->uid != self || before->creator_uid != self))
        return make_error(Code::denied, operation(),
                          fmt::format("it belongs to uid {}, not to us ({})", before->uid, self));
    if (rules.own_and_private && (before->mode & 077U) != 0)
        return make_error(Code::denied, operation(),
                          fmt::format("mode {:04o} lets others in; create it with 0600", before->mode));
    if (before->size < rules.min_size)
        return make_error(
            Code::invalid_argument, operation(),
            fmt::format("it has {} bytes, at least {} are needed", before->size, rules.min_size));
    auto bytes = os::attach_segment(shmid, before->size, Access::read_write);
    if (!bytes) return std::move(bytes).error();
    // An id may have been removed and given to another segment between the two calls.
    auto after = os::segment_status(shmid);
    if (!after || *after != *before) {
        os::detach_segment(*bytes); // not unmap(): what was attached may have another size
        if (!after) return std::move(after).error();
        return make_error(Code::denied, operation(),
                          "it changed while it was being attached; its id was reused");
    }
    return std::shared_ptr<Memory>(
        std::make_shared<SysvMemory>(shmid, *bytes, "imported", "sysv", sysv_traits()));
}

} // namespace share
