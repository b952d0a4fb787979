// SPDX-License-Identifier: MIT
// Reading: a bracketed and, where the client can truncate its file, guarded look at a buffer's pixels.
// One thread: the compositor's. Never waits beyond the deadline. The SIGBUS guard must be installed by the
// program before memory that can shrink is read.
#pragma once

#include "scene/region.hpp"

#include <share/buffer.hpp>
#include <share/wayland_server/guarded_read.hpp>

namespace compositor::render {

/// How long drawing waits for a client's fence or a writer before the old pixels stay.
share::Deadline reading_deadline();

/// Adds new pixels (buffer coordinates, clipped) to those that a copy of the buffer lacks. Bounded in boxes.
void add_stale(scene::Region& stale, const scene::Region& damage, const share::Buffer& buffer);

/// A bracketed look at a client's pixels, guarded where the client can take them away.
using Reading = share::wayland_server::GuardedRead;

} // namespace compositor::render
