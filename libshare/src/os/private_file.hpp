// SPDX-License-Identifier: MIT
// Small files that belong to one user: read with suspicion, replaced in one step. Thread: any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <share/result.hpp>

namespace share::os {

/// The whole file. Errors: unavailable (there is none), denied (a symlink, another user's, writable by
/// others), unsupported (no regular file), limit (more than `max_size` bytes), io.
Result<std::string> read_private_file(const std::string& path, std::size_t max_size);

/// Replaces the file by one of mode 0600 with this text, in one step: readers see the old one or the new one.
/// Makes folders that are missing, with mode 0700. Errors: denied (the last folder is another user's, or
/// others may write to it), as open(2), write(2) and rename(2).
Result<void> write_private_file(const std::string& path, std::string_view text);

} // namespace share::os
