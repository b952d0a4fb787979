// SPDX-License-Identifier: MIT
#include <share/wayland_client/offer.hpp>

#include <algorithm>

namespace share::wayland_client {

bool DmabufOffer::offers(Fourcc format, std::uint64_t modifier) const noexcept {
    return std::ranges::any_of(tranches, [&](const Tranche& tranche) {
        return std::ranges::find(tranche.formats, FormatModifier{format, modifier}) != tranche.formats.end();
    });
}

std::optional<std::uint64_t> DmabufOffer::linear_modifier(Fourcc format) const noexcept {
    if (offers(format, modifier::linear)) return modifier::linear;
    if (offers(format, modifier::none)) return modifier::none;
    return std::nullopt;
}

} // namespace share::wayland_client
