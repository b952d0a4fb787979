// SPDX-License-Identifier: MIT
// What src/sync may see of a Buffer: its Ownership and its living dma-bufs. Thread: as Ownership; any.
#pragma once

#include <share/buffer.hpp>

#include "core/ownership.hpp"

namespace share::detail {

struct BufferAccess {
    static Ownership& ownership(Buffer& buffer) noexcept { return *buffer.ownership_; }
    /// Of the memory of that index; fd -1 while there is none.
    static Synced dmabuf_to_sync(const Buffer& buffer, std::size_t index) {
        return buffer.dmabuf_to_sync(index);
    }
};

} // namespace share::detail
