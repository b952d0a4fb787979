// SPDX-License-Identifier: MIT
// The gl renderer's programs, compiled when first used: one per way of sampling, one for a single colour.
// YUV is converted as limited range, BT.709 from 720 rows on and BT.601 below: no protocol of ours tells
// more. One thread: the compositor's.
#pragma once

#include <array>

#include "render/gl_content.hpp"
#include "scene/frame.hpp"

namespace compositor::render {

struct Program {
    GlProgram program;
    GLint color = -1, coefficients = -1;
};

class GlPrograms {
public:
    explicit GlPrograms(DisplayPtr display) : display_(std::move(display)) {}
    /// In use afterwards, its textures bound. Errors: io.
    share::Result<void> use(const GlContent& content, bool nearest);
    share::Result<void> use_color(const scene::Color& color);

private:
    share::Result<Program*> get(std::size_t index);
    DisplayPtr display_;
    std::array<Program, 5> programs_; ///< by Sampling, then the single colour
};

} // namespace compositor::render
