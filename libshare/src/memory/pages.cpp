// SPDX-License-Identifier: MIT
#include <share/pages.hpp>

#include <fmt/format.h>

#include "os/huge_pages.hpp"

namespace share {

Result<PageReport> page_report(Memory& memory) {
    if (memory.traits().kind == MemoryKind::dmabuf)
        return make_error(Code::unsupported,
                          fmt::format("asking for the pages of {} '{}'", memory.heap(), memory.name()),
                          "the kernel tells nothing of a dma-buf's pages");
    auto view = memory.view(Access::read);
    if (!view) return std::move(view).error();
    auto sums = os::smaps_of(*view);
    if (!sums) return std::move(sums).error();
    return PageReport{sums->resident, sums->huge, sums->page_size};
}

} // namespace share
