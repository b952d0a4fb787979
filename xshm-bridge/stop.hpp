// SPDX-License-Identifier: MIT
// SIGINT and SIGTERM as a question: was the program asked to end? Thread: any.
#pragma once

namespace bridge {

/// Installs the handlers, and ignores SIGPIPE (libxcb writes to a server that may be gone) and SIGXFSZ.
void install_stop_signals();
bool stop_requested() noexcept;

} // namespace bridge
