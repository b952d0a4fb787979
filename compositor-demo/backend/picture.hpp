// SPDX-License-Identifier: MIT
// Reading a picture that an output shows: from the client's own buffer. One thread: the compositor's.
#pragma once

#include <memory>
#include <vector>

#include <share/buffer.hpp>

namespace compositor::backend {

/// True for buffers that can be an output's picture as they are: four bytes a pixel, in rows.
bool can_scan_out(const share::Buffer& buffer);

/// The buffer as XRGB8888, rows without padding. Errors: corrupt (truncated by the client), busy, timed_out.
share::Result<std::vector<std::uint32_t>> read_picture(const std::shared_ptr<share::Buffer>& buffer);

} // namespace compositor::backend
