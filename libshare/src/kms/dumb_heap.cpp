// SPDX-License-Identifier: MIT
#include <share/kms/dumb_heap.hpp>

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <filesystem>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include <share/cache_probe.hpp>

#include "drm_ptr.hpp"

namespace share::kms {
namespace {

constexpr std::uint32_t row_pixels = 1024;
constexpr std::uint32_t row_bytes = row_pixels * 4;

/// Where the CPU's mapping comes from: the dma-buf, or the card where its dma-bufs cannot be mapped.
enum class MapBy : std::uint8_t { dmabuf, card };

/// Only what was seen in a driver's source is told: vkms hands out shmem pages, mapped cached. How the memory
/// of others is cached is measured when the heap is opened.
Traits traits_of(const Device& device) {
    Traits traits;
    traits.kind = MemoryKind::dmabuf;
    traits.exports = Exports::dmabuf;
    if (device.driver() == "vkms") {
        traits.cache = CachePolicy::cached;
        traits.contiguous = Tristate::no;
    }
    return traits;
}

class DumbMemory final : public Memory {
public:
    DumbMemory(std::shared_ptr<Device> device, Device::DumbBuffer buffer, UniqueFd dmabuf, MapBy by,
               std::string heap, std::string name, const Traits& traits)
        : Memory(buffer.size, std::move(heap), std::move(name), traits),
          device_(std::move(device)),
          dmabuf_(std::move(dmabuf)),
          by_(by) {
        // The dma-buf keeps the object alive; the handle is only needed to map through the card.
        if (by_ == MapBy::card) handle_ = std::move(buffer.handle);
    }
    int fd() const noexcept override { return dmabuf_.get(); }
    Result<UniqueFd> export_dmabuf(std::uint64_t, std::uint64_t) override {
        UniqueFd copy(::fcntl(dmabuf_.get(), F_DUPFD_CLOEXEC, 3));
        if (!copy) return error_from_errno(errno, fmt::format("duplicating dma-buf fd {}", dmabuf_.get()));
        return copy;
    }

protected:
    Result<std::span<std::byte>> do_map(Access) override {
        const auto operation = [&] { return fmt::format("mapping {} bytes of {}", size(), heap()); };
        drm_mode_map_dumb where{};
        where.handle = handle_.get();
        if (by_ == MapBy::card && drmIoctl(device_->fd(), DRM_IOCTL_MODE_MAP_DUMB, &where) != 0)
            return error_from_errno(errno, operation(), "DRM_IOCTL_MODE_MAP_DUMB");
        const int fd = by_ == MapBy::card ? device_->fd() : dmabuf_.get();
        void* address =
            ::mmap(nullptr, size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(where.offset));
        if (address == MAP_FAILED) return error_from_errno(errno, operation(), "mmap"); // NOLINT
        return std::span(static_cast<std::byte*>(address), size());
    }

private:
    std::shared_ptr<Device> device_;
    GemHandle handle_;
    UniqueFd dmabuf_;
    MapBy by_;
};

class DumbHeap final : public Heap {
public:
    DumbHeap(std::shared_ptr<Device> device, MapBy by)
        : device_(std::move(device)),
          by_(by),
          name_("dumb:" + std::filesystem::path(device_->node()).filename().string()),
          traits_(traits_of(*device_)) {}
    std::string_view name() const noexcept override { return name_; }
    Traits traits() const noexcept override { return traits_; }
    Privilege privilege() const override { return {Privilege::Kind::device_node, device_->node()}; }
    void measure() { measure_cache(*this, traits_); }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override;

private:
    std::shared_ptr<Device> device_;
    MapBy by_;
    std::string name_;
    Traits traits_;
};

Result<std::shared_ptr<Memory>> DumbHeap::do_allocate(std::uint64_t size, std::string_view name,
                                                      const AllocateOptions&) {
    const auto operation = [&] {
        return fmt::format("allocating {} bytes of {} for '{}'", size, name_, name);
    };
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max() / row_bytes;
    if (size == 0)
        return make_error(Code::invalid_argument, operation(), "a memory of no bytes cannot be shared");
    if (size > most * row_bytes)
        return make_error(Code::limit, operation(),
                          fmt::format("a dumb buffer has at most {} bytes; use several, or another heap",
                                      most * row_bytes));
    const std::uint64_t rows = (size + row_bytes - 1) / row_bytes;
    auto buffer = device_->create_dumb(row_pixels, static_cast<std::uint32_t>(rows), 32);
    if (!buffer) {
        buffer.error().operation = operation();
        return std::move(buffer).error();
    }
    if (buffer->size < size)
        return make_error(Code::io, operation(), fmt::format("the driver gave {} bytes only", buffer->size));
    auto dmabuf = device_->export_dmabuf(buffer->handle);
    if (!dmabuf) return std::move(dmabuf).error();
    return std::shared_ptr<Memory>(std::make_shared<DumbMemory>(
        device_, std::move(*buffer), std::move(*dmabuf), by_, name_, std::string(name), traits_));
}

Result<void> try_one_page(DumbHeap& heap) {
    auto memory = heap.allocate(1, "share-probe");
    if (!memory) return std::move(memory).error();
    auto view = (*memory)->view(Access::read_write);
    if (!view) return std::move(view).error();
    // A mapping that faults would have killed us here and not in the middle of a frame.
    view->front() = std::byte{0x5a};
    return {};
}

} // namespace

Result<std::unique_ptr<Heap>> open_dumb_heap(std::shared_ptr<Device> device) {
    assert(device);
    Result<void> tried;
    for (const MapBy by : {MapBy::dmabuf, MapBy::card}) {
        auto heap = std::make_unique<DumbHeap>(device, by);
        tried = try_one_page(*heap);
        if (!tried) continue;
        if (heap->traits().cache == CachePolicy::unknown) heap->measure();
        return std::unique_ptr<Heap>(std::move(heap));
    }
    tried.error().detail = fmt::format("{} ({}) lends no dumb buffers that can be shared and mapped: {}",
                                       device->node(), device->driver(), tried.error().detail);
    return std::move(tried).error();
}

void add_dumb_heaps(HeapTable& table) {
    const auto nodes = Device::nodes();
    for (const auto& node : nodes) {
        std::string name = "dumb:" + std::filesystem::path(node).filename().string();
        auto device = Device::open(node);
        if (!device) {
            table.add({std::move(name), nullptr, std::move(device).error()});
            continue;
        }
        auto heap = open_dumb_heap(std::move(*device));
        if (heap)
            table.add({std::move(name), std::move(*heap), {}});
        else
            table.add({std::move(name), nullptr, std::move(heap).error()});
    }
    if (nodes.empty())
        table.add({"dumb", nullptr,
                   make_error(Code::unavailable, "opening /dev/dri/card0",
                              "this machine has no display controller, or its driver is not loaded")});
}

} // namespace share::kms
