// SPDX-License-Identifier: MIT
// Small files of /proc and /sys. Errors: as nothing; the caller knows what a missing file means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <sys/types.h>

namespace info {

/// The whole file (at most 64 KiB), without white space at its end.
std::optional<std::string> read_text(const std::string& path);
std::optional<std::uint64_t> read_number(const std::string& path);
/// "226:128 /dev/dri/renderD128"; the numbers alone when the kernel knows no such node.
std::string device_text(dev_t device);

} // namespace info
