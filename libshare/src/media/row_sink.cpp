// SPDX-License-Identifier: MIT
#include "row_sink.hpp"

#include <algorithm>
#include <cassert>

namespace share::media {

namespace {
// Rows that become columns: 32 pixels are two cache lines of a target row, and 32 rows of 4K fit the L2
// cache.
constexpr std::uint32_t strip_height = 32;
constexpr std::uint32_t pixel_bytes = 4;
} // namespace

RowSink::RowSink(Mapping& into, std::uint32_t width, std::uint32_t height, int orientation, bool whole_frame,
                 const Color& color, Order order, std::vector<std::uint32_t>& scratch)
    : width_(width),
      height_(height),
      orientation_(orientation),
      whole_frame_(whole_frame),
      color_(color),
      order_(order),
      target_(into.plane(0).data()),
      target_stride_(into.layout().plane(0).stride) {
    if (turns(orientation)) {
        strip_rows_ = whole_frame ? height : std::min(strip_height, height);
        scratch.resize(std::size_t{strip_rows_} * width);
        base_ = reinterpret_cast<std::byte*>(scratch.data());
        stride_ = static_cast<std::ptrdiff_t>(width) * pixel_bytes;
    } else {
        const bool upside_down = orientation == 3 || orientation == 4;
        base_ = target_ + (upside_down ? static_cast<std::ptrdiff_t>(height - 1) * target_stride_ : 0);
        stride_ = upside_down ? -target_stride_ : target_stride_;
    }
}

std::byte* RowSink::row(std::uint32_t y) const noexcept {
    assert(y < height_);
    return base_ + static_cast<std::ptrdiff_t>(strip_rows_ ? y % strip_rows_ : y) * stride_;
}

std::uint32_t RowSink::run(std::uint32_t y, std::uint32_t most) const noexcept {
    return std::min({most, height_ - y, strip_rows_ ? strip_rows_ - y % strip_rows_ : most});
}

void RowSink::finish(std::uint32_t y) noexcept {
    std::byte* const at = row(y);
    const bool mirrored = orientation_ == 2 || orientation_ == 3;
    if (color_.rewrites()) color_.apply(at, width_);
    if (mirrored) {
        auto* pixels = reinterpret_cast<std::uint32_t*>(at);
        std::reverse(pixels, pixels + width_);
    }
    if (color_.rewrites() || mirrored || strip_rows_) converted_ += std::uint64_t{width_} * pixel_bytes;
    if (strip_rows_ && (y % strip_rows_ == strip_rows_ - 1 || y == height_ - 1))
        scatter(y - y % strip_rows_, y % strip_rows_ + 1);
}

// Source pixel (x, y) goes to column y or height-1-y of row x or width-1-x.
void RowSink::scatter(std::uint32_t first, std::uint32_t rows) noexcept {
    const bool right_to_left = orientation_ == 6 || orientation_ == 7;
    const bool bottom_up = orientation_ == 7 || orientation_ == 8;
    const auto* strip = reinterpret_cast<const std::uint32_t*>(base_);
    for (std::uint32_t part = 0; part < rows; part += strip_height) {
        const std::uint32_t part_rows = std::min(strip_height, rows - part);
        const std::uint32_t y = first + part;
        const std::uint32_t column = right_to_left ? height_ - y - part_rows : y;
        for (std::uint32_t x = 0; x < width_; ++x) {
            const std::uint32_t target_row = bottom_up ? width_ - 1 - x : x;
            auto* to = reinterpret_cast<std::uint32_t*>(target_ + target_row * target_stride_) + column;
            const std::uint32_t* from = strip + std::size_t{part} * width_ + x;
            for (std::uint32_t i = 0; i < part_rows; ++i)
                to[right_to_left ? part_rows - 1 - i : i] = from[std::size_t{i} * width_];
        }
    }
    if (whole_frame_) copied_ += std::uint64_t{width_} * rows * pixel_bytes;
}

} // namespace share::media
