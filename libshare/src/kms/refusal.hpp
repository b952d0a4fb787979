// SPDX-License-Identifier: MIT
// Why a device refuses a framebuffer. The kernel says EINVAL and no more; this finds what in the layout is
// outside the device's limits, and tells them all. Pure; thread: any.
#pragma once

#include <span>
#include <string>

#include <share/kms/device.hpp>
#include <share/layout.hpp>

namespace share::kms {

struct Limits {
    std::string device; ///< "/dev/dri/card1 (vkms)"
    Capabilities capabilities;
    std::span<const FormatModifier> formats; ///< of the primary planes
};

/// `os_errno`: of ADDFB2. Codes: limit, unsupported, invalid_argument; others as the errno says.
Error explain_refusal(const Limits& limits, const Layout& layout, int os_errno);

} // namespace share::kms
