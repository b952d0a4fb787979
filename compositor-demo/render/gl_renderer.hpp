// SPDX-License-Identifier: MIT
// The gl renderer: EGL without a window system and OpenGL ES 3. dma-bufs (and, where the CPU draws, sealed
// memfds) are read by EGLImage in place; what EGL refuses is uploaded, and told. One thread: the
// compositor's.
#pragma once

#include "render/renderer.hpp"

namespace compositor::render {

/// Errors: unavailable (no EGL; with hardware_only: only software drivers), with each reason.
share::Result<std::unique_ptr<Renderer>> create_gl_renderer(bool hardware_only);

} // namespace compositor::render
