// SPDX-License-Identifier: MIT
// Pages: of which size they really are. Huge pages that the kernel gives by chance (transparent ones) are
// promised by nobody; here is what one got.
//
// Units are bytes. Thread: any. Source: proc_pid_smaps(5), transhuge.rst.
#pragma once

#include <cstddef>
#include <cstdint>

#include <share/api.hpp>
#include <share/memory.hpp>

namespace share {

struct PageReport {
    std::uint64_t resident = 0; ///< touched through this process's mapping
    std::uint64_t huge = 0;     ///< of these, mapped as huge pages
    std::size_t page_size = 0;  ///< that no mapped page is smaller than
};
/// Asks the kernel (/proc/self/smaps) about this process's mapping of `memory`, which is made if there is
/// none; other processes may map the same pages in other sizes. Takes milliseconds in a large process.
/// Errors: unsupported (dma-bufs: the kernel does not tell; device-only memory), as Memory::view.
SHARE_API Result<PageReport> page_report(Memory& memory);

} // namespace share
