// SPDX-License-Identifier: MIT
// Strings of clients, made safe to show. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace compositor::wayland {

/// As UTF-8: what is not becomes U+FFFD, control characters become spaces; cut at 1024 bytes.
std::string sanitized(std::string_view text);

} // namespace compositor::wayland
