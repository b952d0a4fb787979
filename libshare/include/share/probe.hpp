// SPDX-License-Identifier: MIT
// ProbeState: what is known of a party's ability after it was measured, in three states. Advertised is not
// supported: drivers list pairs of format and modifier that they then refuse. Thread: a value.
#pragma once

#include <cstdint>
#include <string_view>

#include <share/api.hpp>

namespace share {

enum class ProbeState : std::uint8_t {
    good,        ///< a buffer of ours worked
    bad,         ///< it was refused, or came back wrong: not to be offered
    unprobeable, ///< we cannot make such a buffer: passed on as the driver says it
};
/// "good", "bad", "unprobeable".
SHARE_API std::string_view to_string(ProbeState state) noexcept;
/// Good and unprobeable are offered to others.
constexpr bool is_offered(ProbeState state) noexcept {
    return state != ProbeState::bad;
}

} // namespace share
