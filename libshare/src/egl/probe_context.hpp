// SPDX-License-Identifier: MIT
// ProbeContext: a small framebuffer and two programs that sample one image each: by sampler2D and by
// samplerExternalOES. Thread: the Display's; the context must be current while it lives.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include <share/egl/image.hpp>

#include "egl_api.hpp"
#include "pattern.hpp"

namespace share::egl {

class ProbeContext {
public:
    using Pixels = std::array<std::uint8_t, pattern_size * pattern_size * 4>;

    /// Errors: io (a shader does not compile, no framebuffer).
    static Result<ProbeContext> create();
    ProbeContext(ProbeContext&& other) noexcept;
    ProbeContext& operator=(ProbeContext&&) = delete;
    ~ProbeContext();

    /// Samples the image over the whole framebuffer, reads it back as RGBA, first row of the image first.
    /// Errors: unsupported (GL refuses the image).
    Result<Pixels> sample(const Image& image, bool external);

private:
    ProbeContext() = default;
    Result<GLuint> program(bool external);
    std::array<GLuint, 2> programs_{};
    GLuint framebuffer_ = 0, renderbuffer_ = 0;
};

} // namespace share::egl
