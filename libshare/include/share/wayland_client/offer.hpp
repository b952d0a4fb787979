// SPDX-License-Identifier: MIT
// What a compositor offers for buffers: the formats of linux-dmabuf and of wl_shm.
//
// Value types, filled while Display collects what the compositor says. All of it is the compositor's word:
// an offered pair may still be refused, so a path is taken only after a buffer of it was created.
// Thread: plain values. Source: linux-dmabuf-v1 (format, modifier, zwp_linux_dmabuf_feedback_v1), wl_shm.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include <share/api.hpp>
#include <share/format.hpp>

namespace share::wayland_client {

/// One group of equal worth; the compositor lists the best first.
struct Tranche {
    std::optional<dev_t> target_device; ///< nullopt before version 4
    bool scanout = false;               ///< meant for direct scan-out
    std::vector<FormatModifier> formats;
};

/// linux-dmabuf as this compositor speaks it.
struct SHARE_API DmabufOffer {
    std::uint32_t version = 0;        ///< of the bound global
    std::optional<dev_t> main_device; ///< from version 4 on
    std::vector<Tranche> tranches;    ///< one tranche before version 4

    bool offers(Fourcc format, std::uint64_t modifier) const noexcept;
    /// How a linear buffer of this format may be described: LINEAR where it is offered, else no modifier
    /// where the protocol's version allows it, else nothing.
    std::optional<std::uint64_t> linear_modifier(Fourcc format) const noexcept;
};

/// wl_shm's formats as fourcc codes (its 0 and 1 are translated).
struct SHARE_API ShmOffer {
    std::set<Fourcc> formats;
    bool offers(Fourcc format) const noexcept { return formats.contains(format); }
};

} // namespace share::wayland_client
