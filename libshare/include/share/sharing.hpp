// SPDX-License-Identifier: MIT
// Sharing: how the CPU and devices take turns at a Buffer. Plain data, for Buffer and for negotiation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <share/api.hpp>

namespace share {

enum class Sharing : std::uint8_t {
    exclusive,  ///< streaming: one writer or many readers at a time; who comes too early waits or is refused
    consistent, ///< mapped and attached for ever; nobody is excluded, the parties order their accesses
};
SHARE_API std::string_view to_string(Sharing sharing) noexcept;

/// How a Buffer is to be shared, and who wanted it so.
struct BufferOptions {
    Sharing sharing = Sharing::exclusive;
    std::string decided_by = "the default"; ///< a party's name, as an Agreement has it: "encoder"
};

} // namespace share
