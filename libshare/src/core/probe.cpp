// SPDX-License-Identifier: MIT
#include <share/probe.hpp>

namespace share {

std::string_view to_string(ProbeState state) noexcept {
    switch (state) {
    case ProbeState::good:
        return "good";
    case ProbeState::bad:
        return "bad";
    case ProbeState::unprobeable:
        return "unprobeable";
    }
    return "unknown";
}

} // namespace share
