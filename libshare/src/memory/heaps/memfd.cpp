// SPDX-License-Identifier: MIT
#include "memory/heaps/heaps.hpp"

#include <fcntl.h>

#include <fmt/format.h>

#include "memory/file_memory.hpp"

namespace share {

Traits memfd_traits() noexcept {
    Traits traits;
    traits.kind = MemoryKind::memfd;
    traits.contiguous = Tristate::no;
    traits.cache = CachePolicy::cached;
    traits.page_size = os::page_size();
    traits.swappable = true;
    traits.exports = Exports::memfd;
    return traits;
}

Result<SealedFile> create_sealed_file(std::uint64_t size, std::string_view name) {
    const auto rounded = checked_align(size, os::page_size());
    if (size == 0 || !rounded)
        return make_error(Code::invalid_argument, fmt::format("allocating {} bytes for '{}'", size, name),
                          "the size must be at least 1 byte and fit 64 bits");
    auto fd = os::create_memfd(std::string(name), *rounded, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (!fd) return std::move(fd).error();
    return SealedFile{std::move(*fd), *rounded};
}

namespace {

class MemfdHeap final : public Heap {
public:
    std::string_view name() const noexcept override { return "memfd"; }
    Traits traits() const noexcept override { return memfd_traits(); }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override {
        auto file = create_sealed_file(size, name);
        if (!file) return std::move(file).error();
        return std::shared_ptr<Memory>(std::make_shared<FileMemory>(std::move(file->fd), file->size, "memfd",
                                                                    std::string(name), memfd_traits()));
    }
};

} // namespace

Result<std::unique_ptr<Heap>> open_memfd_heap() {
    if (auto probe = create_sealed_file(1, "share-probe"); !probe) return std::move(probe).error();
    return std::unique_ptr<Heap>(std::make_unique<MemfdHeap>());
}

} // namespace share
