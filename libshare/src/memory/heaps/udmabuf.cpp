// SPDX-License-Identifier: MIT
#include "memory/heaps/heaps.hpp"

#include <fmt/format.h>

#include "memory/file_memory.hpp"
#include "os/dmabuf.hpp"

namespace share {
namespace {

constexpr const char* device_path = "/dev/udmabuf";

Traits udmabuf_traits() noexcept {
    Traits traits = memfd_traits();
    traits.exports = Exports::memfd | Exports::dmabuf;
    return traits;
}

class UdmabufMemory final : public FileMemory {
public:
    UdmabufMemory(std::shared_ptr<const UniqueFd> device, SealedFile file, std::string name)
        : FileMemory(std::move(file.fd), file.size, "udmabuf", std::move(name), udmabuf_traits()),
          device_(std::move(device)) {}

    Result<UniqueFd> export_dmabuf(std::uint64_t offset, std::uint64_t length) override {
        const std::uint64_t mask = traits().page_size - 1;
        const auto end = checked_add(offset, length);
        if ((offset & mask) != 0 || (length & mask) != 0 || length == 0 || !end || *end > size())
            return make_error(
                Code::invalid_argument,
                fmt::format("exporting bytes {} to {} of {} as dma-buf", offset, end.value_or(0), size()),
                "the range must be page-aligned and inside the memory");
        auto dmabuf = os::create_udmabuf(device_->get(), fd(), offset, length);
        if (!dmabuf) return std::move(dmabuf).error();
        // The memfd's inode in the name joins the views of the same bytes in debugfs and fdinfo.
        if (auto inode = inode_of(fd()))
            os::set_dmabuf_name(dmabuf->get(), fmt::format("memfd:{}+{:#x}", inode->number, offset));
        return dmabuf;
    }

private:
    std::shared_ptr<const UniqueFd> device_;
};

class UdmabufHeap final : public Heap {
public:
    explicit UdmabufHeap(UniqueFd device) : device_(std::make_shared<const UniqueFd>(std::move(device))) {}
    std::string_view name() const noexcept override { return "udmabuf"; }
    Traits traits() const noexcept override { return udmabuf_traits(); }
    Privilege privilege() const override { return {Privilege::Kind::device_node, device_path}; }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override {
        auto file = create_sealed_file(size, name);
        if (!file) return std::move(file).error();
        return std::shared_ptr<Memory>(
            std::make_shared<UdmabufMemory>(device_, std::move(*file), std::string(name)));
    }

private:
    std::shared_ptr<const UniqueFd> device_;
};

std::string advice(const Error& error) {
    if (error.code == Code::denied) return "join its group (often kvm) or log in at the seat";
    if (error.code == Code::unavailable)
        return "the kernel has no udmabuf driver here; try: modprobe udmabuf";
    return {};
}

} // namespace

Result<std::unique_ptr<Heap>> open_udmabuf_heap() {
    auto device = os::open_device(device_path);
    if (!device) {
        device.error().detail = advice(device.error());
        return std::move(device).error();
    }
    // A device that opens may still refuse everything, and kernels had bugs that showed other pages than the
    // memfd's: try some pages before offering the heap.
    auto file = create_sealed_file(16 * os::page_size(), "share-probe");
    if (!file) return std::move(file).error();
    auto probe = os::create_udmabuf(device->get(), file->fd.get(), 0, file->size);
    if (!probe) return std::move(probe).error();
    if (auto same = verify_same_pages(file->fd.get(), 0, probe->get(), file->size); !same)
        return std::move(same).error();
    return std::unique_ptr<Heap>(std::make_unique<UdmabufHeap>(std::move(*device)));
}

} // namespace share
