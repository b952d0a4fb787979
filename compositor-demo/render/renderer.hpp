// SPDX-License-Identifier: MIT
// Renderer: draws a scene::Frame into a Target. Two implementations: gl (EGL + GLES 3) and pixman.
// One thread: the compositor's. The renderer is also the scene's ContentImporter.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scene/frame.hpp"

namespace compositor::render {

/// What an output's picture is drawn into: XRGB8888, kept from frame to frame.
class Target {
public:
    virtual ~Target() = default;
    virtual int width() const noexcept = 0;
    virtual int height() const noexcept = 0;
};

class Renderer : public scene::ContentImporter {
public:
    /// "gl" or "pixman".
    virtual std::string_view name() const noexcept = 0;
    /// For a person: "gl (llvmpipe, Mesa 25.0.7, software)".
    virtual std::string describe() const = 0;

    virtual share::Result<std::unique_ptr<Target>> create_target(int width, int height) = 0;
    /// Draws the damaged pixels of the frame. `target` holds the frame that the damage counts from. Adds to
    /// `drawn`: a step `compose` per item (mechanism blit, draw or map; bytes exact for CPU work that we
    /// do), before it what its content had to copy, and which old pixels stayed, and why.
    virtual share::Result<void> render(Target& target, const scene::Frame& frame, scene::Drawn& drawn) = 0;
    /// Reads the target as XRGB8888 rows, top first. Finishes all drawing.
    virtual share::Result<void> read(Target& target, std::span<std::byte> into, std::uint32_t stride) = 0;
};

struct RendererChoice {
    std::string name = "auto"; ///< auto, gl, pixman
};
/// auto: gl on a hardware driver, pixman otherwise. `why` says what was chosen and why, for the ledger.
share::Result<std::unique_ptr<Renderer>> create_renderer(const RendererChoice& choice, std::string& why);

} // namespace compositor::render
