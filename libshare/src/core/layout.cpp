// SPDX-License-Identifier: MIT
#include <share/layout.hpp>

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace share {

std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t result = 0;
    if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
    return result;
}

std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t result = 0;
    if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
    return result;
}

std::optional<std::uint64_t> checked_align(std::uint64_t value, std::uint64_t align) noexcept {
    assert(std::has_single_bit(align));
    const auto sum = checked_add(value, align - 1);
    if (!sum) return std::nullopt;
    return *sum & ~(align - 1);
}

namespace {

constexpr std::uint32_t ceil_div(std::uint32_t a, std::uint32_t b) noexcept {
    return a / b + (a % b != 0);
}

std::uint32_t samples(std::uint32_t length, std::uint8_t sub) noexcept {
    return ceil_div(length, sub);
}

/// Fits 64 bit for every width up to max_dimension.
std::uint64_t bytes_of_row(const FormatInfo& info, std::size_t plane, std::uint32_t width) noexcept {
    const FormatPlane& p = info.planes[plane];
    return std::uint64_t{ceil_div(samples(width, p.hsub), p.block_width)} * p.block_bytes;
}

std::string what(std::uint32_t width, std::uint32_t height, Fourcc format, std::uint64_t mod) {
    return fmt::format("layout of {}x{} {} {}", width, height, fourcc_text(format), modifier_text(mod));
}

bool valid_rules(const LayoutRules& r) noexcept {
    return std::has_single_bit(r.stride_align) && std::has_single_bit(r.offset_align) &&
           std::has_single_bit(r.height_align) && std::has_single_bit(r.size_align);
}

/// Offset + all rows but the last at full stride + the pixels of the last: the kernel's own rule
/// (drm_framebuffer.c), so that a buffer without padding after its last row is legal.
std::optional<std::uint64_t> end_of_plane(const Plane& plane, std::uint64_t rows,
                                          std::uint64_t row) noexcept {
    const auto body = checked_mul(plane.stride, rows - 1);
    const auto with_offset = body ? checked_add(*body, plane.offset) : std::nullopt;
    return with_offset ? checked_add(*with_offset, row) : std::nullopt;
}

struct Placed {
    std::array<Plane, max_planes> planes{};
    std::uint64_t end = 0;
};

/// Bytes of a plane with its padding.
std::optional<std::uint64_t> padded_bytes(std::uint64_t stride, std::uint64_t padded_height,
                                          std::uint8_t vsub) {
    return checked_mul(stride, padded_height / vsub + (padded_height % vsub != 0));
}

/// Each plane with the smallest stride and offset that the rules allow; nothing when it grows too large.
std::optional<Placed> place_planes(const FormatInfo& info, std::uint32_t width, std::uint32_t height,
                                   const LayoutRules& rules) {
    Placed placed;
    const auto padded_height = checked_align(height, rules.height_align);
    for (std::size_t i = 0; i < info.plane_count; ++i) {
        const auto stride = checked_align(bytes_of_row(info, i, width), rules.stride_align);
        const auto offset = checked_align(placed.end, rules.offset_align);
        if (!padded_height || !stride || *stride > UINT32_MAX || !offset) return std::nullopt;
        const auto body = padded_bytes(*stride, *padded_height, info.planes[i].vsub);
        const auto end = body ? checked_add(*offset, *body) : std::nullopt;
        if (!end || *end > Layout::max_size) return std::nullopt;
        placed.planes[i] = {*offset, static_cast<std::uint32_t>(*stride)};
        placed.end = *end;
    }
    return placed;
}

/// Stride of plane `i` in proportion to that of plane 0; nothing where the proportion is not whole.
std::optional<std::uint64_t> following_stride(const FormatInfo& info, std::size_t i, std::uint64_t first) {
    const FormatPlane &a = info.planes[0], &b = info.planes[i];
    const auto bytes = checked_mul(first, std::uint64_t{b.block_bytes} * a.hsub * a.block_width);
    const std::uint64_t part = std::uint64_t{a.block_bytes} * b.hsub * b.block_width;
    if (!bytes || *bytes % part != 0) return std::nullopt;
    return *bytes / part;
}

bool suits_all(const FormatInfo& info, std::uint32_t width, std::uint64_t first, std::uint32_t align) {
    for (std::size_t i = 0; i < info.plane_count; ++i) {
        const auto stride = following_stride(info, i, first);
        if (!stride || *stride % align != 0 || *stride < bytes_of_row(info, i, width)) return false;
    }
    return true;
}

/// With every plane right behind the one before it; nothing where an offset is not aligned.
std::optional<Placed> follow(const FormatInfo& info, std::uint64_t first, std::uint64_t padded_height,
                             std::uint32_t offset_align) {
    Placed placed;
    for (std::size_t i = 0; i < info.plane_count; ++i) {
        const auto stride = following_stride(info, i, first);
        const auto body = stride ? padded_bytes(*stride, padded_height, info.planes[i].vsub) : std::nullopt;
        const auto end = body ? checked_add(placed.end, *body) : std::nullopt;
        if (!end || *stride > UINT32_MAX || *end > Layout::max_size || placed.end % offset_align != 0)
            return std::nullopt;
        placed.planes[i] = {placed.end, static_cast<std::uint32_t>(*stride)};
        placed.end = *end;
    }
    return placed;
}

/// Wider until all strides are whole and aligned, then higher until all offsets are.
std::optional<Placed> place_following(const FormatInfo& info, std::uint32_t width, std::uint32_t height,
                                      const LayoutRules& rules) {
    auto first = checked_align(bytes_of_row(info, 0, width), rules.stride_align);
    // Every proportion of the known formats is whole within a few steps.
    for (int step = 0; first && !suits_all(info, width, *first, rules.stride_align); ++step)
        first = step < 64 ? checked_add(*first, rules.stride_align) : std::nullopt;
    if (!first || *first > UINT32_MAX) return std::nullopt;
    for (std::uint64_t align = rules.height_align; align <= UINT32_MAX; align *= 2) {
        const auto padded_height = checked_align(height, align);
        if (auto placed =
                padded_height ? follow(info, *first, *padded_height, rules.offset_align) : std::nullopt)
            return placed;
    }
    return std::nullopt;
}

struct Broken {
    Layout::Fault fault;
    std::string why;
};

std::optional<Broken> check_dimensions(std::uint32_t width, std::uint32_t height) {
    if (width == 0 || height == 0)
        return Broken{Layout::Fault::dimensions, "width and height must be at least 1"};
    if (width > Layout::max_dimension || height > Layout::max_dimension)
        return Broken{Layout::Fault::dimensions,
                      fmt::format("at most {0}x{0} pixels are accepted", Layout::max_dimension)};
    return std::nullopt;
}

std::optional<Broken> check_plane(const FormatInfo& info, std::size_t i, const Plane& plane,
                                  std::uint32_t width, std::uint32_t height, std::uint64_t size) {
    const std::uint64_t row = bytes_of_row(info, i, width);
    const std::uint64_t rows = samples(height, info.planes[i].vsub);
    if (plane.stride < row)
        return Broken{
            Layout::Fault::bounds,
            fmt::format("plane {}: stride {} is shorter than a row of {} bytes", i, plane.stride, row)};
    const auto end = end_of_plane(plane, rows, row);
    if (!end)
        return Broken{Layout::Fault::bounds,
                      fmt::format("plane {}: offset {} + stride {} x {} rows overflows", i, plane.offset,
                                  plane.stride, rows)};
    if (*end > size)
        return Broken{Layout::Fault::bounds,
                      fmt::format("plane {}: its rows end at byte {} of {}", i, *end, size)};
    return std::nullopt;
}

std::optional<Broken> check_planes(const FormatInfo& info, std::uint64_t mod, std::span<const Plane> planes,
                                   std::uint32_t width, std::uint32_t height,
                                   std::span<const std::uint64_t> sizes) {
    const bool addressable = mod == modifier::linear || mod == modifier::none;
    if (planes.empty() || planes.size() > max_planes || (addressable && planes.size() != info.plane_count))
        return Broken{Layout::Fault::plane_count,
                      fmt::format("{} planes given, {} has {}", planes.size(), info.name, info.plane_count)};
    for (std::size_t i = 0; i < planes.size(); ++i) {
        // Of a tiled plane only the driver knows stride and extent.
        auto broken = addressable ? check_plane(info, i, planes[i], width, height, sizes[i]) : std::nullopt;
        if (!addressable && planes[i].offset >= sizes[i])
            broken = Broken{Layout::Fault::bounds, fmt::format("plane {}: offset {} lies beyond {} bytes", i,
                                                               planes[i].offset, sizes[i])};
        if (broken) return broken;
    }
    return std::nullopt;
}

} // namespace

Result<Layout> Layout::linear(std::uint32_t width, std::uint32_t height, Fourcc format,
                              const LayoutRules& rules) {
    const auto operation = [&] { return what(width, height, format, modifier::linear); };
    if (const auto broken = check_dimensions(width, height))
        return make_error(Code::invalid_argument, operation(), broken->why);
    const FormatInfo* info = find_format(format);
    if (!info)
        return make_error(Code::unsupported, operation(), "unknown format; see share::known_formats()");
    if (!valid_rules(rules))
        return make_error(Code::invalid_argument, operation(), "alignments must be powers of two");

    const auto placed = rules.planes_follow ? place_following(*info, width, height, rules)
                                            : place_planes(*info, width, height, rules);
    const auto size = placed ? checked_align(placed->end, rules.size_align) : std::nullopt;
    if (!size || *size > max_size) return make_error(Code::limit, operation(), "more than 64 GiB");
    Layout layout;
    layout.width_ = width;
    layout.height_ = height;
    layout.format_ = format;
    layout.plane_count_ = info->plane_count;
    layout.planes_ = placed->planes;
    layout.size_ = *size;
    return layout;
}

Result<Layout> Layout::describe(std::uint32_t width, std::uint32_t height, Fourcc format, std::uint64_t mod,
                                std::span<const Plane> planes, std::uint64_t size, Fault* fault) {
    std::array<std::uint64_t, max_planes> sizes{};
    sizes.fill(size);
    return describe(width, height, format, mod, planes,
                    std::span(sizes).first(std::min(planes.size(), max_planes)), fault);
}

Result<Layout> Layout::describe(std::uint32_t width, std::uint32_t height, Fourcc format, std::uint64_t mod,
                                std::span<const Plane> planes, std::span<const std::uint64_t> sizes,
                                Fault* fault) {
    assert(planes.size() > max_planes || planes.size() == sizes.size());
    const auto refuse = [&](Fault kind, std::string why) -> Result<Layout> {
        if (fault) *fault = kind;
        return make_error(kind == Fault::format ? Code::unsupported : Code::invalid_argument,
                          what(width, height, format, mod), std::move(why));
    };
    if (fault) *fault = Fault::none;
    const FormatInfo* info = find_format(format);
    if (!info) return refuse(Fault::format, "unknown format");
    if (auto broken = check_dimensions(width, height)) return refuse(broken->fault, std::move(broken->why));
    if (auto broken = check_planes(*info, mod, planes, width, height, sizes))
        return refuse(broken->fault, std::move(broken->why));

    Layout layout;
    layout.width_ = width;
    layout.height_ = height;
    layout.format_ = format;
    layout.modifier_ = mod;
    layout.plane_count_ = planes.size();
    std::copy(planes.begin(), planes.end(), layout.planes_.begin());
    layout.size_ = *std::max_element(sizes.begin(), sizes.end());
    return layout;
}

Result<Layout> Layout::rebased(std::uint64_t delta, std::uint64_t size) const {
    std::array<Plane, max_planes> planes = planes_;
    for (std::size_t i = 0; i < plane_count_; ++i) {
        const auto offset = checked_add(planes[i].offset, delta);
        if (!offset)
            return make_error(Code::invalid_argument, what(width_, height_, format_, modifier_),
                              fmt::format("offset + {} overflows", delta));
        planes[i].offset = *offset;
    }
    return describe(width_, height_, format_, modifier_, std::span(planes).first(plane_count_), size);
}

namespace {

/// Where something else begins behind a plane.
std::uint64_t room_end(const Layout& layout, std::size_t i) noexcept {
    std::uint64_t end = layout.size();
    for (const Plane& other : layout.planes())
        if (other.offset > layout.plane(i).offset) end = std::min(end, other.offset);
    return end;
}

bool has_padding(const Layout& layout, const FormatInfo& info, std::uint32_t height_align) noexcept {
    const std::uint64_t padded_height =
        (std::uint64_t{layout.height()} + height_align - 1) & ~(std::uint64_t{height_align} - 1);
    for (std::size_t i = 0; i < layout.plane_count(); ++i) {
        const auto body = padded_bytes(layout.plane(i).stride, padded_height, info.planes[i].vsub);
        if (!body || *body > room_end(layout, i) - layout.plane(i).offset) return false;
    }
    return true;
}

bool planes_follow(const Layout& layout, const FormatInfo& info) noexcept {
    const Plane& first = layout.plane(0);
    for (std::size_t i = 1; i < layout.plane_count(); ++i) {
        const Plane& before = layout.plane(i - 1);
        const std::uint64_t gap = layout.plane(i).offset - before.offset;
        // How many rows of padding lie between is the first plane's to say.
        const std::uint64_t padded_height = (layout.plane(1).offset - first.offset) / first.stride;
        if (layout.plane(i).offset < before.offset ||
            following_stride(info, i, first.stride) != layout.plane(i).stride ||
            padded_bytes(before.stride, padded_height, info.planes[i - 1].vsub) != gap)
            return false;
    }
    return true;
}

} // namespace

std::optional<LayoutRule> Layout::broken_rule(const LayoutRules& rules, std::uint64_t start) const noexcept {
    assert(row_addressable());
    const FormatInfo& info = *find_format(format_);
    const auto divides = [](std::uint32_t align, std::uint64_t value) {
        return std::has_single_bit(align) && value % align == 0;
    };
    for (const Plane& plane : planes()) {
        if (!divides(rules.stride_align, plane.stride)) return LayoutRule::stride_align;
        if (!divides(rules.offset_align, start) || !divides(rules.offset_align, plane.offset))
            return LayoutRule::offset_align;
    }
    // Without padding the last row may end with its pixels.
    if (!std::has_single_bit(rules.height_align) ||
        (rules.height_align > 1 && !has_padding(*this, info, rules.height_align)))
        return LayoutRule::height_align;
    if (!divides(rules.size_align, size_)) return LayoutRule::size_align;
    if (rules.planes_follow && !share::planes_follow(*this, info)) return LayoutRule::planes_follow;
    return std::nullopt;
}

bool Layout::row_addressable() const noexcept {
    return modifier_ == modifier::linear || modifier_ == modifier::none;
}

std::uint32_t Layout::plane_width(std::size_t i) const noexcept {
    assert(i < plane_count_);
    return samples(width_, find_format(format_)->planes[i].hsub);
}

std::uint32_t Layout::plane_height(std::size_t i) const noexcept {
    assert(i < plane_count_);
    return samples(height_, find_format(format_)->planes[i].vsub);
}

std::uint32_t Layout::row_bytes(std::size_t i) const noexcept {
    assert(i < plane_count_);
    return static_cast<std::uint32_t>(bytes_of_row(*find_format(format_), i, width_));
}

std::uint64_t Layout::plane_bytes(std::size_t i) const noexcept {
    return std::uint64_t{planes_[i].stride} * (plane_height(i) - 1) + row_bytes(i);
}

std::uint64_t Layout::pixel_bytes() const noexcept {
    std::uint64_t sum = 0;
    const std::size_t count = find_format(format_)->plane_count;
    for (std::size_t i = 0; i < std::min(count, plane_count_); ++i)
        sum += std::uint64_t{row_bytes(i)} * plane_height(i);
    return sum;
}

} // namespace share
