// SPDX-License-Identifier: MIT
// try_format(): what a driver would make of a format, without setting it. Thread: the Device's.
#pragma once

#include <share/v4l2/device.hpp>

namespace share::v4l2 {

/// Its answer as it is, unchecked; `wanted.exact` does not count. Errors: no VIDIOC_TRY_FMT, or what it
/// refuses with; disconnected.
Result<Answer> try_format(const Device& device, Side side, const WantedFormat& wanted);

} // namespace share::v4l2
