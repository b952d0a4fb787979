// SPDX-License-Identifier: MIT
// Layout: where the pixels of one image lie in a range of bytes. Immutable and checked.
//
// All arithmetic on offsets, strides and sizes of the toolkit is done here and nowhere else: an existing
// Layout cannot overrun its size. Units: pixels for width and height, bytes for everything else.
// Thread: a value type. Source of the rules: linux-dmabuf-v1 (create), kernel drm_framebuffer.c.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include <share/api.hpp>
#include <share/format.hpp>
#include <share/result.hpp>

namespace share {

struct Plane {
    std::uint64_t offset = 0; ///< of the first row from the start of the buffer's range
    std::uint32_t stride = 0; ///< from one row (of blocks) to the next

    friend bool operator==(const Plane&, const Plane&) = default;
};

/// What a party may ask of a layout that we choose. Powers of two; 1 means "no wish".
struct LayoutRules {
    std::uint32_t stride_align = 64; ///< a cache line: what SIMD decoders and most scan-out engines want
    std::uint32_t offset_align = 4096;
    std::uint32_t height_align = 1; ///< rows that exist beyond the last visible one
    std::uint32_t size_align = 1;
    /// The later planes follow without gaps, their strides in the formats' proportion to the first one's
    /// (what V4L2's single-planar formats mean). Rows are added below until every plane's offset is aligned.
    bool planes_follow = false;
};

enum class LayoutRule : std::uint8_t { stride_align, offset_align, height_align, size_align, planes_follow };

class SHARE_API Layout {
public:
    /// Largest width and height accepted from anybody.
    static constexpr std::uint32_t max_dimension = 65535;

    /// A linear layout of our own choice. Errors: invalid_argument, unsupported (unknown format), limit.
    static Result<Layout> linear(std::uint32_t width, std::uint32_t height, Fourcc format,
                                 const LayoutRules& rules = {});

    /// A layout that somebody else describes; trust nothing. For LINEAR and no modifier every plane is
    /// checked against `size` (planes that share one range); for tiled modifiers only what is certain:
    /// dimensions, one to four planes, offsets inside.
    /// Errors: invalid_argument; LayoutFault tells which rule was broken, for protocol errors.
    enum class Fault : std::uint8_t { none, format, dimensions, plane_count, bounds };
    static Result<Layout> describe(std::uint32_t width, std::uint32_t height, Fourcc format,
                                   std::uint64_t modifier, std::span<const Plane> planes, std::uint64_t size,
                                   Fault* fault = nullptr);
    /// As above, each plane in a range of its own (several dma-bufs): sizes[i] bounds plane i.
    static Result<Layout> describe(std::uint32_t width, std::uint32_t height, Fourcc format,
                                   std::uint64_t modifier, std::span<const Plane> planes,
                                   std::span<const std::uint64_t> sizes, Fault* fault = nullptr);

    /// The same planes seen from `delta` bytes earlier, in a range of `size` bytes: for a buffer that starts
    /// inside a larger dma-buf or file. Errors: invalid_argument (does not fit).
    Result<Layout> rebased(std::uint64_t delta, std::uint64_t size) const;

    std::uint32_t width() const noexcept { return width_; }
    std::uint32_t height() const noexcept { return height_; }
    Fourcc format() const noexcept { return format_; }
    std::uint64_t modifier() const noexcept { return modifier_; }
    std::size_t plane_count() const noexcept { return plane_count_; }
    const Plane& plane(std::size_t i) const noexcept { return planes_[i]; }
    std::span<const Plane> planes() const noexcept { return {planes_.data(), plane_count_}; }
    /// Largest whole layout that is accepted: 64 GiB.
    static constexpr std::uint64_t max_size = 1ULL << 36;
    /// Bytes of the whole range (the largest of the ranges, when planes have their own).
    std::uint64_t size() const noexcept { return size_; }
    /// True for LINEAR and for "no modifier": rows are where stride and offset say.
    bool row_addressable() const noexcept;

    /// Size of one plane in samples. YUYV counts pixels.
    std::uint32_t plane_width(std::size_t i) const noexcept;
    std::uint32_t plane_height(std::size_t i) const noexcept;
    /// Bytes of pixels in one row, without padding.
    std::uint32_t row_bytes(std::size_t i) const noexcept;
    /// Bytes from the plane's offset to the end of its last row of pixels.
    std::uint64_t plane_bytes(std::size_t i) const noexcept;
    /// Bytes of visible pixels in all planes: what one full copy moves.
    std::uint64_t pixel_bytes() const noexcept;

    /// The first rule that this layout, starting at byte `start` of its memory, does not keep; an alignment
    /// that is no power of two is never kept. Only for row_addressable() layouts.
    std::optional<LayoutRule> broken_rule(const LayoutRules& rules, std::uint64_t start = 0) const noexcept;

    friend bool operator==(const Layout&, const Layout&) = default;

private:
    Layout() = default;
    std::uint32_t width_ = 0, height_ = 0;
    Fourcc format_ = 0;
    std::uint64_t modifier_ = 0;
    std::size_t plane_count_ = 0;
    std::array<Plane, max_planes> planes_{};
    std::uint64_t size_ = 0;
};

/// a * b and a + b, or nothing when it overflows. Layout's own tools, public for tests.
SHARE_API std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) noexcept;
SHARE_API std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) noexcept;
/// Rounded up to a multiple of `align` (a power of two), or nothing when it overflows.
SHARE_API std::optional<std::uint64_t> checked_align(std::uint64_t value, std::uint64_t align) noexcept;

} // namespace share
