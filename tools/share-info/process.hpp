// SPDX-License-Identifier: MIT
// The section "processes": what some processes hold of shared memory, how much of it is pinned, and who else
// has it. Collected only when asked for (--process).
#pragma once

#include <sys/types.h>

#include <vector>

#include "sections.hpp"

namespace info {

/// Its collector tells about these.
const Section& process_section(std::vector<pid_t> pids);

} // namespace info
