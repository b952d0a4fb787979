// SPDX-License-Identifier: MIT
// What src/sync may see of a Buffer: its Ownership. Thread: as Ownership.
#pragma once

#include <share/buffer.hpp>

#include "core/ownership.hpp"

namespace share::detail {

struct BufferAccess {
    static Ownership& ownership(Buffer& buffer) noexcept { return *buffer.ownership_; }
};

} // namespace share::detail
