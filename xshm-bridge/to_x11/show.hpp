// SPDX-License-Identifier: MIT
// `xshm-bridge show`: pictures decoded into the memory that the X server reads, one window, one ledger.
#pragma once

#include <share/result.hpp>

#include "../options.hpp"

namespace bridge {

/// Returns when the frames are shown, the window was closed or a signal came.
share::Result<void> show(const Options& options);

} // namespace bridge
