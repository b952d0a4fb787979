// SPDX-License-Identifier: MIT
#include "memory/heaps/heaps.hpp"

#include <fmt/format.h>

#include "memory/udmabuf_memory.hpp"
#include "os/dmabuf.hpp"

namespace share {

Result<UniqueFd> UdmabufMemory::export_dmabuf(std::uint64_t offset, std::uint64_t length) {
    if (!device_) return FileMemory::export_dmabuf(offset, length);
    const std::uint64_t mask = traits().page_size - 1;
    const auto end = checked_add(offset, length);
    if ((offset & mask) != 0 || (length & mask) != 0 || length == 0 || !end || *end > size())
        return make_error(
            Code::invalid_argument,
            fmt::format("exporting bytes {} to {} of {} as dma-buf", offset, end.value_or(0), size()),
            "the range must be page-aligned and inside the memory");
    auto dmabuf = os::create_udmabuf(device_->get(), fd(), offset, length);
    if (!dmabuf) return std::move(dmabuf).error();
    // The file's inode in the name joins the views of the same bytes in debugfs and fdinfo.
    if (auto inode = inode_of(fd()))
        os::set_dmabuf_name(dmabuf->get(),
                            fmt::format("{}:{}+{:#x}",
                                        traits().kind == MemoryKind::hugetlbfs ? "hugetlb" : "memfd",
                                        inode->number, offset));
    return dmabuf;
}

namespace {

Traits udmabuf_traits() noexcept {
    Traits traits = memfd_traits();
    traits.exports = Exports::memfd | Exports::dmabuf;
    return traits;
}

class UdmabufHeap final : public Heap {
public:
    explicit UdmabufHeap(std::shared_ptr<const UniqueFd> device) : device_(std::move(device)) {}
    std::string_view name() const noexcept override { return "udmabuf"; }
    Traits traits() const noexcept override { return udmabuf_traits(); }
    Privilege privilege() const override { return {Privilege::Kind::device_node, udmabuf_path}; }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override {
        auto file = create_sealed_file(size, name);
        if (!file) return std::move(file).error();
        return std::shared_ptr<Memory>(std::make_shared<UdmabufMemory>(device_, std::move(*file), "udmabuf",
                                                                       std::string(name), udmabuf_traits()));
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

Result<std::shared_ptr<const UniqueFd>> open_udmabuf_device() {
    auto device = os::open_device(udmabuf_path);
    if (!device) {
        device.error().detail = advice(device.error());
        return std::move(device).error();
    }
    return std::make_shared<const UniqueFd>(std::move(*device));
}

Result<void> try_udmabuf(int device, int memfd, std::uint64_t size) {
    auto probe = os::create_udmabuf(device, memfd, 0, size);
    if (!probe) return std::move(probe).error();
    return verify_same_pages(memfd, 0, probe->get(), size);
}

Result<std::unique_ptr<Heap>> open_udmabuf_heap() {
    auto device = open_udmabuf_device();
    if (!device) return std::move(device).error();
    // A device that opens may still refuse everything, and kernels had bugs that showed other pages than the
    // memfd's: try some pages before offering the heap.
    auto file = create_sealed_file(16 * os::page_size(), "share-probe");
    if (!file) return std::move(file).error();
    if (auto good = try_udmabuf((*device)->get(), file->fd.get(), file->size); !good)
        return std::move(good).error();
    return std::unique_ptr<Heap>(std::make_unique<UdmabufHeap>(std::move(*device)));
}

} // namespace share
