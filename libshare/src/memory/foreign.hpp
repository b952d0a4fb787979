// SPDX-License-Identifier: MIT
// What an fd is that cannot be shared, and what to do instead: the text of the refusal. Asks the kernel,
// opens nothing. Thread: any. Source: magic.h, proc(5), memfd_secret(2), inode(7).
#pragma once

#include <optional>
#include <string>

#include "os/file.hpp"

namespace share {

/// Nothing when the fd is a file whose bytes somebody meant to share.
std::optional<std::string> refusal_of(int fd, const os::Status& status);

} // namespace share
