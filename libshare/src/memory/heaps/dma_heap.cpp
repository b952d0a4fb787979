// SPDX-License-Identifier: MIT
#include "memory/heaps/heaps.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include <share/cache_probe.hpp>

#include "memory/file_memory.hpp"
#include "os/dmabuf.hpp"

namespace share {
namespace {

constexpr const char* folder = "/dev/dma_heap";
constexpr std::string_view prefix = "dma-heap:";

/// The kernel tells nothing of a heap but its name; what the well-known names stand for is written here
/// (dma-buf-heaps.rst; Linux before 6.17 named the CMA region after its device tree node, "reserved" without
/// one; the uncached ones are Android's). A CMA heap of any other node's name is not known from here:
/// `unknown`.
struct Known {
    std::string_view name;
    Tristate contiguous;
    CachePolicy cache;
};
constexpr Known known[] = {
    {"system", Tristate::no, CachePolicy::cached},
    {"system-uncached", Tristate::no, CachePolicy::write_combined},
    {"default_cma_region", Tristate::yes, CachePolicy::cached},
    {"reserved", Tristate::yes, CachePolicy::cached},
    {"linux,cma", Tristate::yes, CachePolicy::cached},
    {"default-pool", Tristate::yes, CachePolicy::cached},
};

/// Systems lend names of their own by links ("vidbuf_cached"): what counts is where they lead.
std::string node_behind(const std::string& node) {
    std::error_code error;
    const auto target = std::filesystem::canonical(std::filesystem::path(folder) / node, error);
    return error ? node : target.filename().string();
}

} // namespace

Traits dma_heap_traits(std::string_view node) {
    Traits traits;
    traits.kind = MemoryKind::dmabuf;
    traits.page_size = os::page_size();
    traits.exports = Exports::dmabuf;
    const auto* at =
        std::find_if(std::begin(known), std::end(known), [&](const Known& k) { return k.name == node; });
    if (at != std::end(known)) {
        traits.contiguous = at->contiguous;
        traits.cache = at->cache;
    }
    return traits;
}

namespace {

class DmaHeap final : public Heap {
public:
    DmaHeap(UniqueFd device, std::string name, const Traits& traits)
        : device_(std::move(device)), name_(std::move(name)), traits_(traits) {}
    std::string_view name() const noexcept override { return name_; }
    Traits traits() const noexcept override { return traits_; }
    Privilege privilege() const override {
        return {Privilege::Kind::device_node, fmt::format("{}/{}", folder, name_.substr(prefix.size()))};
    }
    void set_unmappable() noexcept { traits_.mappable = false; }
    void measure() { measure_cache(*this, traits_); }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override {
        const auto rounded = checked_align(size, traits_.page_size);
        if (size == 0 || !rounded)
            return make_error(Code::invalid_argument,
                              fmt::format("allocating {} bytes for '{}' from {}", size, name, name_),
                              "the size must be at least 1 byte and fit 64 bits");
        // The kernel does not refuse what it has not got: it kills processes until it has it, us among the
        // first.
        if (const auto available = os::available_memory(); available && *rounded > *available)
            return make_error(Code::out_of_memory,
                              fmt::format("allocating {} bytes from {}", *rounded, name_),
                              fmt::format("the machine has {} bytes left; take less", *available));
        auto dmabuf = os::allocate_dma_heap(device_.get(), *rounded, name_);
        if (!dmabuf) return std::move(dmabuf).error();
        os::set_dmabuf_name(dmabuf->get(), std::string(name));
        return std::shared_ptr<Memory>(
            std::make_shared<FileMemory>(std::move(*dmabuf), *rounded, name_, std::string(name), traits_));
    }

private:
    UniqueFd device_;
    std::string name_;
    Traits traits_;
};

std::string advice(const Error& error) {
    if (error.code == Code::denied)
        return "root-only on most systems, because its memory is counted in no cgroup; let a group have it "
               "by a "
               "udev rule, or use the heap udmabuf";
    if (error.code == Code::unavailable) return "this kernel has no dma-heaps (CONFIG_DMABUF_HEAPS)";
    return {};
}

Result<std::unique_ptr<Heap>> open_dma_heap(const std::string& node) {
    auto device = os::open_device(fmt::format("{}/{}", folder, node));
    if (!device) {
        device.error().detail = advice(device.error());
        return std::move(device).error();
    }
    auto heap = std::make_unique<DmaHeap>(std::move(*device), std::string(prefix) + node,
                                          dma_heap_traits(node_behind(node)));
    auto page = heap->allocate(1, "share-probe");
    if (!page) return std::move(page).error();
    // Heaps of protected memory open and allocate for everybody, but no CPU may look at it.
    if (!(*page)->view(Access::read_write))
        heap->set_unmappable();
    else if (heap->traits().cache == CachePolicy::unknown)
        heap->measure();
    return std::unique_ptr<Heap>(std::move(heap));
}

std::vector<std::string> nodes() {
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    // Where there is none, the one that every such kernel has stands for all and keeps the reason.
    if (names.empty()) names.emplace_back("system");
    return names;
}

} // namespace

void add_dma_heaps(HeapTable& table) {
    for (const auto& node : nodes()) {
        auto heap = open_dma_heap(node);
        const auto name = std::string(prefix) + node;
        if (heap)
            table.add({name, std::move(*heap), {}});
        else
            table.add({name, nullptr, std::move(heap).error()});
    }
}

} // namespace share
