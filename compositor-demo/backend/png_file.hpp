// SPDX-License-Identifier: MIT
// A picture as PNG file: written beside its name first and renamed when complete, so that nobody ever sees
// half a file. Thread: any. Source: libpng's simplified API.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <share/result.hpp>

namespace compositor::backend {

/// XRGB8888 rows without padding, top first. Replaces a regular file; anything else at `path` is refused.
/// Errors: io, denied, unavailable, limit (disk full); no file is left behind then.
share::Result<void> write_png(const std::string& path, int width, int height,
                              std::span<const std::uint32_t> pixels);

} // namespace compositor::backend
