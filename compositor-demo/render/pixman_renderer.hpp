// SPDX-License-Identifier: MIT
// The pixman renderer: client memory is read where it lies and composited by the CPU into the target, in one
// pass. Nothing is uploaded; a dma-buf is mapped and bracketed. One thread: the compositor's.
#pragma once

#include "render/renderer.hpp"

namespace compositor::render {

/// Errors: unsupported when this libpixman draws not even XRGB8888 right.
share::Result<std::unique_ptr<Renderer>> create_pixman_renderer();

} // namespace compositor::render
