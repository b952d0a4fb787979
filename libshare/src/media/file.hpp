// SPDX-License-Identifier: MIT
// Reads a regular file into memory, whole. In memory and not mapped: a mapped file that somebody truncates
// kills the reader with SIGBUS, and one that somebody rewrites changes under the decoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <share/result.hpp>

namespace share::media {

/// Errors: as open_image.
Result<std::vector<std::byte>> read_regular_file(const std::string& path, std::uint64_t max_bytes);

} // namespace share::media
