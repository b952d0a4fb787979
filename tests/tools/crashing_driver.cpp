// SPDX-License-Identifier: MIT
// An EGL driver that does not survive being loaded.
#include <cstdlib>

namespace {

struct Crash {
    Crash() { std::abort(); }
} const crash;

} // namespace
