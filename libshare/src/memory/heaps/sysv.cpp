// SPDX-License-Identifier: MIT
#include "memory/heaps/heaps.hpp"

#include <fmt/format.h>

#include "memory/sysv_memory.hpp"
#include "os/file.hpp"

namespace share {
namespace {

class SysvHeap final : public Heap {
public:
    std::string_view name() const noexcept override { return "sysv"; }
    Traits traits() const noexcept override { return sysv_traits(); }

protected:
    Result<std::shared_ptr<Memory>> do_allocate(std::uint64_t size, std::string_view name,
                                                const AllocateOptions&) override {
        const auto rounded = checked_align(size, os::page_size());
        if (size == 0 || !rounded)
            return make_error(Code::invalid_argument, fmt::format("allocating {} bytes for '{}'", size, name),
                              "the size must be at least 1 byte and fit 64 bits");
        auto segment = os::create_segment(*rounded);
        if (!segment) return std::move(segment).error();
        return std::shared_ptr<Memory>(std::make_shared<SysvMemory>(segment->id, segment->bytes, "sysv",
                                                                    std::string(name), sysv_traits()));
    }
};

} // namespace

Result<std::unique_ptr<Heap>> open_sysv_heap() {
    auto probe = os::create_segment(os::page_size());
    if (!probe) return std::move(probe).error();
    os::unmap(probe->bytes); // the last detach: it was already marked for removal
    return std::unique_ptr<Heap>(std::make_unique<SysvHeap>());
}

} // namespace share
