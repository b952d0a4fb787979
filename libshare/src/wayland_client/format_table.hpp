// SPDX-License-Identifier: MIT
// The format table of zwp_linux_dmabuf_feedback_v1: 16 bytes an entry (format, padding, modifier), indexed
// by 16 bit numbers. Read once with pread(2) instead of being mapped: a file that is shorter than claimed,
// or shrinks while we read, is then a short read and no SIGBUS. Thread: plain values.
#pragma once

#include <cstdint>
#include <vector>

#include <share/result.hpp>
#include <share/unique_fd.hpp>
#include <share/wayland_client/offer.hpp>

namespace share::wayland_client {

/// Takes the fd. Errors: corrupt (no regular file, odd size, shorter than claimed), limit.
Result<std::vector<FormatModifier>> read_format_table(UniqueFd fd, std::uint32_t size);

} // namespace share::wayland_client
