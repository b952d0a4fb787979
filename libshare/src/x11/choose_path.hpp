// SPDX-License-Identifier: MIT
// Which transport a stream takes, and the notes that say why not a better one. Thread: the connection's.
#pragma once

#include <memory>

#include <share/heap.hpp>
#include <share/x11/swapchain.hpp>

#include "transport.hpp"

namespace share::x11 {

struct ChosenPath {
    Pool pool; ///< what the server reads
    std::unique_ptr<Transport> transport;
};

/// Errors: timed_out and disconnected at once; otherwise, when the asked path (or all of them) fails, its
/// reason.
Result<ChosenPath> choose_path(const Target& target, const Layout& layout, std::uint32_t slots, Path wanted,
                               const HeapTable& heaps, Ledger& ledger, Deadline deadline);

} // namespace share::x11
