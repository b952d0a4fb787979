// SPDX-License-Identifier: MIT
// FileMemory: Memory whose bytes are a file (memfd, tmpfs, hugetlbfs, dma-buf). Base of the heaps' own and
// of imported memory.
#pragma once

#include <utility>

#include <share/memory.hpp>

#include "os/file.hpp"
#include "os/map.hpp"

namespace share {

class FileMemory : public Memory {
public:
    FileMemory(UniqueFd fd, std::uint64_t size, std::string heap, std::string name, const Traits& traits)
        : Memory(size, std::move(heap), std::move(name), traits), fd_(std::move(fd)) {}
    int fd() const noexcept override { return fd_.get(); }
    Result<UniqueFd> export_dmabuf(std::uint64_t offset, std::uint64_t length) override {
        if (traits().kind != MemoryKind::dmabuf) return Memory::export_dmabuf(offset, length);
        return os::duplicate(fd_.get());
    }

protected:
    Result<std::span<std::byte>> do_map(Access access) override {
        return os::map_shared(fd_.get(), size(), access);
    }

private:
    UniqueFd fd_;
};

} // namespace share
