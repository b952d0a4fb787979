// SPDX-License-Identifier: MIT
// memfd-huge:SIZE (hugetlb pages of the kernel's pools), memfd-huge:thp (transparent ones in a memfd), and
// memfd-huge, which is the best of them here.
#include "memory/heaps/heaps.hpp"

#include <fcntl.h>

#include <fmt/format.h>

#include "memory/udmabuf_memory.hpp"
#include "os/huge_pages.hpp"
#include "os/map.hpp"

namespace share {
namespace {

constexpr unsigned our_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
/// Trying a dma-buf of a page writes to all of it; a page of a GiB is too much for a question.
constexpr std::size_t most_to_try = std::size_t{32} << 20U;

enum class Kind : std::uint8_t {
    hugetlb,
    advised,   ///< transparent: the kernel gives huge pages on first touch where it is asked
    collapsed, ///< transparent: small pages are put together when the memory is first mapped
};

struct Spec {
    Kind kind = Kind::hugetlb;
    std::size_t page = 0; ///< of one huge page
    Privilege privilege;
};

std::string size_word(std::size_t bytes) {
    if (bytes >= std::size_t{1} << 30U) return fmt::format("{}G", bytes >> 30U);
    if (bytes >= std::size_t{1} << 20U) return fmt::format("{}M", bytes >> 20U);
    return fmt::format("{}K", bytes >> 10U);
}

Traits traits_of(const Spec& spec) noexcept {
    Traits traits = memfd_traits();
    if (spec.kind != Kind::hugetlb) {
        traits.largest_page = spec.page;
        return traits;
    }
    traits.kind = MemoryKind::hugetlbfs;
    traits.page_size = spec.page;
    traits.swappable = false;
    // Whoever has a writable fd may punch holes, and no seal that lets us write forbids it.
    traits.can_shrink = true;
    return traits;
}

class HugeMemory final : public UdmabufMemory {
public:
    HugeMemory(std::shared_ptr<const UniqueFd> device, SealedFile file, std::string heap, std::string name,
               const Traits& traits, const Spec& spec)
        : UdmabufMemory(std::move(device), std::move(file), std::move(heap), std::move(name), traits),
          spec_(spec) {}

protected:
    Result<std::span<std::byte>> do_map(Access access) override {
        if (spec_.kind == Kind::hugetlb) return UdmabufMemory::do_map(access);
        auto mapped = os::map_aligned(fd(), size(), access, spec_.page);
        if (!mapped) return mapped;
        os::advise_huge(*mapped);
        if (spec_.kind == Kind::collapsed) os::collapse_huge(*mapped);
        return mapped;
    }

private:
    Spec spec_;
};

Error no_pages(const Spec& spec, std::uint64_t size, Error error) {
    error.operation = fmt::format("reserving {} huge pages of {}", size / spec.page, size_word(spec.page));
    for (const auto& pool : os::huge_pools()) {
        if (pool.page_size != spec.page) continue;
        // Then it is not the pool that is short: a cgroup's limit, or no room for the mapping.
        if (pool.free >= pool.reserved && pool.free - pool.reserved >= size / spec.page) break;
        error.code = Code::limit;
        error.detail =
            fmt::format("{} of the pool's {} are free, {} of these promised to others; raise {} (root)",
                        pool.free, pool.total, pool.reserved, pool.setting);
    }
    return error;
}

Result<SealedFile> create_file(const Spec& spec, std::uint64_t size, std::string_view name) {
    const auto rounded = checked_align(size, spec.page);
    if (size == 0 || !rounded)
        return make_error(Code::invalid_argument, fmt::format("allocating {} bytes for '{}'", size, name),
                          "the size must be at least 1 byte and fit 64 bits");
    auto fd = spec.kind == Kind::hugetlb
                  ? os::create_huge_memfd(std::string(name), *rounded, spec.page, our_seals)
                  : os::create_memfd(std::string(name), *rounded, our_seals);
    if (!fd) return std::move(fd).error();
    if (spec.kind == Kind::hugetlb)
        if (auto reserved = os::reserve_pages(fd->get(), *rounded); !reserved)
            return no_pages(spec, *rounded, std::move(reserved).error());
    return SealedFile{std::move(*fd), *rounded};
}

class HugeHeap final : public Heap {
public:
    HugeHeap(std::string name, Spec spec, std::shared_ptr<const UniqueFd> device)
        : name_(std::move(name)),
          spec_(std::move(spec)),
          traits_(traits_of(spec_)),
          device_(std::move(device)) {
        if (device_) traits_.exports = traits_.exports | Exports::dmabuf;
    }
    std::string_view name() const noexcept override { return name_; }
    Traits traits() const noexcept override { return traits_; }
    Privilege privilege() const override { return spec_.privilege; }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override {
        auto file = create_file(spec_, size, name);
        if (!file) return std::move(file).error();
        return std::shared_ptr<Memory>(std::make_shared<HugeMemory>(device_, std::move(*file), name_,
                                                                    std::string(name), traits_, spec_));
    }

private:
    std::string name_;
    Spec spec_;
    Traits traits_;
    std::shared_ptr<const UniqueFd> device_;
};

/// The device, if it makes dma-bufs of these pages that show the same bytes; null otherwise.
std::shared_ptr<const UniqueFd> exporter_of(const Spec& spec, const SealedFile& page) {
    if (spec.page > most_to_try) return nullptr;
    auto device = open_udmabuf_device();
    if (!device || !try_udmabuf((*device)->get(), page.fd.get(), page.size)) return nullptr;
    return std::move(*device);
}

/// What was tried and can be lent, under one name or two.
struct Offer {
    Spec spec;
    std::shared_ptr<const UniqueFd> exporter;

    std::unique_ptr<Heap> heap(std::string name) const {
        return std::make_unique<HugeHeap>(std::move(name), spec, exporter);
    }
};

Result<Offer> try_pool(const os::HugePool& pool) {
    const Spec spec{Kind::hugetlb, pool.page_size, {Privilege::Kind::setting, pool.setting}};
    auto page = create_file(spec, 1, "share-probe");
    if (!page) return std::move(page).error();
    return Offer{spec, exporter_of(spec, *page)};
}

/// Settings that say yes may still give small pages: one is made and looked at.
Result<SealedFile> try_page(const Spec& spec) {
    auto file = create_file(spec, spec.page, "share-probe");
    if (!file) return file;
    auto mapped = os::map_aligned(file->fd.get(), spec.page, Access::read_write, spec.page);
    if (!mapped) return std::move(mapped).error();
    os::advise_huge(*mapped);
    if (spec.kind == Kind::collapsed)
        os::collapse_huge(*mapped);
    else
        mapped->front() = std::byte{0};
    const auto sums = os::smaps_of(*mapped);
    os::unmap(*mapped);
    if (!sums) return sums.error();
    if (sums->huge >= spec.page) return file;
    return make_error(
        Code::unavailable, fmt::format("taking a transparent huge page of {}", size_word(spec.page)),
        spec.kind == Kind::collapsed
            ? fmt::format("the kernel gave small pages; try: echo advise > {} (root)", os::shmem_setting)
            : "the kernel gave small pages: free memory is in too small pieces");
}

Result<Offer> try_transparent() {
    const std::size_t page = os::transparent_page_size();
    const auto mode = os::shmem_huge_mode();
    const auto missing = [](std::string why) {
        return make_error(Code::unavailable, "taking transparent huge pages for a memfd", std::move(why));
    };
    if (page <= os::page_size() || mode.empty())
        return missing("this kernel has none for memfds (CONFIG_TRANSPARENT_HUGEPAGE)");
    if (mode == "deny")
        return missing(fmt::format("{} says deny; root can set it to advise", os::shmem_setting));
    Spec spec{Kind::advised, page, {Privilege::Kind::setting, os::shmem_setting}};
    if (mode == "never") spec = {Kind::collapsed, page, {}};
    auto file = try_page(spec);
    if (!file) return std::move(file).error();
    return Offer{spec, exporter_of(spec, *file)};
}

} // namespace

void add_huge_heaps(HeapTable& table) {
    constexpr std::string_view best = "memfd-huge";
    std::vector<HeapTable::Entry> entries;
    HeapTable::Entry first{std::string(best), nullptr, {}};
    std::string reasons;
    const auto consider = [&](const Result<Offer>& offer, const std::string& word) {
        auto name = fmt::format("{}:{}", best, word);
        if (!offer) {
            reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", word, offer.error().text());
            entries.push_back({std::move(name), nullptr, offer.error()});
            return;
        }
        if (!first.heap) first.heap = offer->heap(std::string(best));
        entries.push_back({name, offer->heap(name), {}});
    };
    for (const auto& pool : os::huge_pools())
        consider(try_pool(pool), size_word(pool.page_size));
    consider(try_transparent(), "thp");
    if (!first.heap) first.reason = make_error(Code::unavailable, "choosing huge pages", reasons);
    table.add(std::move(first));
    for (auto& entry : entries)
        table.add(std::move(entry));
}

} // namespace share
