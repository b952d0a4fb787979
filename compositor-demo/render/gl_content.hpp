// SPDX-License-Identifier: MIT
// GlContent: a client buffer as one to three textures, over EGLImages where the driver takes the memory, by
// upload otherwise. One thread: the compositor's.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include <share/egl/image.hpp>

#include "render/gl_objects.hpp"
#include "render/gl_upload.hpp"
#include "scene/content.hpp"

namespace compositor::render {

/// How a shader gets colours of the textures.
enum class Sampling : std::uint8_t { rgb, external, y_uv, y_u_v };

class GlContent final : public scene::Content {
public:
    /// Errors: unsupported with what EGL and the upload said.
    static share::Result<std::shared_ptr<GlContent>>
    create(const DisplayPtr& display, std::shared_ptr<share::Buffer> buffer, bool dmabuf, bool external_only);

    Sampling sampling() const noexcept { return sampling_; }
    const GlTexture& texture(std::size_t i) const noexcept { return planes_[i].texture; }
    std::size_t texture_count() const noexcept { return plane_count_; }
    bool uploaded() const noexcept { return uploaded_; }

    bool has_copy() const noexcept override { return uploaded_ && stale_.empty(); }
    /// Notes what is to be uploaded before it is drawn. Errors: corrupt.
    share::Result<void> refresh(const scene::Region& damage);
    /// Uploads what is stale and appends the step; nothing where pixels are read in place. Errors: as
    /// Reading; what was not read stays stale.
    share::Result<void> update(std::vector<share::Step>& steps);
    /// A framebuffer that a blit to XRGB8888 may read, null when this content has none.
    const GlFramebuffer* blit_source();

    bool lost() const noexcept { return lost_; }

private:
    struct PlaneTexture {
        GlTexture texture;
        std::optional<share::egl::Image> image;
        const UploadFormat* upload = nullptr;
    };

    GlContent(DisplayPtr display, std::shared_ptr<share::Buffer> buffer)
        : Content(std::move(buffer), {}), display_(std::move(display)) {}
    share::Result<void> import_whole(bool external);
    share::Result<void> import_planes();
    share::Result<void> prepare_upload();
    share::Result<void> upload_stale(std::vector<share::Step>& steps);

    DisplayPtr display_;
    Sampling sampling_ = Sampling::rgb;
    std::array<PlaneTexture, 3> planes_;
    std::size_t plane_count_ = 0;
    bool uploaded_ = false, lost_ = false;
    scene::Region stale_; ///< pixels that the textures lack, where they are uploaded
    bool blit_tried_ = false;
    std::optional<share::egl::Image> blit_image_;
    GlTexture blit_texture_;
    GlFramebuffer blit_source_;
};

} // namespace compositor::render
