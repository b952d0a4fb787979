// SPDX-License-Identifier: MIT
// PixmanContent: a client buffer as pixman images over the client's own bytes. One thread: the compositor's.
// pixman wants rows at multiples of 4 bytes: a buffer that has them elsewhere is kept as a copy, told by
// begin().
#pragma once

#include <pixman.h>

#include <memory>
#include <vector>

#include "render/client_memory.hpp"
#include "scene/content.hpp"

namespace compositor::render {

struct PixmanUnref {
    void operator()(pixman_image_t* image) const noexcept { pixman_image_unref(image); }
};
using PixmanImage = std::unique_ptr<pixman_image_t, PixmanUnref>;

/// pixman's codes for a fourcc: with its alpha, and with the alpha ignored. 0: none.
struct PixmanFormat {
    share::Fourcc fourcc = 0;
    pixman_format_code_t blended{}, opaque{};
    bool exact_copy = false; ///< the opaque pixel is XRGB8888's
};
const PixmanFormat* find_pixman_format(share::Fourcc fourcc) noexcept;
std::span<const PixmanFormat> pixman_formats() noexcept;

class PixmanContent final : public scene::Content {
public:
    PixmanContent(std::shared_ptr<share::Buffer> buffer, const PixmanFormat& format, share::Step step)
        : Content(std::move(buffer), std::move(step)), format_(format) {}

    const PixmanFormat& format() const noexcept { return format_; }
    /// Rows that pixman cannot address: begin() copies the stale ones.
    bool copied() const noexcept { return !copy_.empty(); }
    share::Result<void> keep_copy();
    bool has_copy() const noexcept override { return copied() && stale_.empty(); }
    /// Errors: corrupt.
    share::Result<void> refresh(const scene::Region& damage);

    /// Begins reading, image() is valid until end(). Appends the step of a copy.
    share::Result<void> begin(std::vector<share::Step>& steps);
    share::Result<void> end();
    /// Where the pixels are between begin() and end().
    const std::byte* pixels() const noexcept {
        return copied() ? reinterpret_cast<const std::byte*>(copy_.data()) : base_;
    }
    std::size_t stride() const noexcept {
        return copied() ? copy_stride_ : buffer_->layout().plane(0).stride;
    }
    /// Null when pixman refuses.
    pixman_image_t* image(bool blend);

    bool lost() const noexcept { return lost_; }
    void set_lost() noexcept { lost_ = true; }

private:
    share::Result<void> update_copy(std::vector<share::Step>& steps);

    const PixmanFormat& format_;
    std::optional<Reading> reading_;
    const std::byte* base_ = nullptr; ///< what the images were made over
    PixmanImage blended_, opaque_;
    std::vector<std::uint32_t> copy_;
    std::uint32_t copy_stride_ = 0;
    scene::Region stale_; ///< pixels that the copy lacks
    bool lost_ = false;
};

} // namespace compositor::render
