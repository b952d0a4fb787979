// SPDX-License-Identifier: MIT
// RowSink: where a codec's rows go, so that the codecs know neither orientation nor colour.
//
// A codec asks row(y) where source row y shall land, writes four-byte pixels there, and says finish(y). For
// orientations 1 to 4 that is the mapping itself. For quarter turns it is a strip of rows, scattered into
// the mapping when full; rows must then come in order, or the strip is as high as the picture.
// Lives for one frame. Source of the orientations: Exif 2.32, tag 0x0112.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <share/buffer.hpp>

#include "color.hpp"

namespace share::media {

constexpr bool turns(int orientation) noexcept {
    return orientation >= 5;
}

class RowSink {
public:
    /// Width and height as stored in the file. `scratch` is kept by the caller from frame to frame.
    RowSink(Mapping& into, std::uint32_t width, std::uint32_t height, int orientation, bool whole_frame,
            const Color& color, Order order, std::vector<std::uint32_t>& scratch);

    Order order() const noexcept { return order_; }
    std::uint32_t width() const noexcept { return width_; }
    std::uint32_t height() const noexcept { return height_; }

    std::byte* row(std::uint32_t y) const noexcept;
    /// From row(y) to row(y + 1), as long as both may be asked for; negative where rows land upside down.
    std::ptrdiff_t stride() const noexcept { return stride_; }
    /// How many rows from y on may be written before the first of them is finished; at most `most`.
    std::uint32_t run(std::uint32_t y, std::uint32_t most) const noexcept;
    /// Row y is complete. In order where the picture is turned and not whole.
    void finish(std::uint32_t y) noexcept;

    std::uint64_t bytes_copied() const noexcept { return copied_; }
    std::uint64_t bytes_converted() const noexcept { return converted_; }
    /// Rows of the strip; 0 when rows land directly.
    std::uint32_t strip_rows() const noexcept { return strip_rows_; }

private:
    void scatter(std::uint32_t first, std::uint32_t rows) noexcept;

    std::uint32_t width_, height_;
    int orientation_;
    bool whole_frame_;
    const Color& color_;
    Order order_;
    std::byte* target_; ///< the mapping's first row
    std::ptrdiff_t target_stride_;
    std::byte* base_; ///< row 0 of where rows land
    std::ptrdiff_t stride_;
    std::uint32_t strip_rows_ = 0;
    std::uint64_t copied_ = 0, converted_ = 0;
};

} // namespace share::media
