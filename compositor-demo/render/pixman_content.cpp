// SPDX-License-Identifier: MIT
#include "render/pixman_content.hpp"

#include <array>
#include <cstring>

#include <fmt/format.h>

namespace compositor::render {

namespace {

namespace fm = share::format;

constexpr std::array formats{
    PixmanFormat{fm::xrgb8888, PIXMAN_x8r8g8b8, PIXMAN_x8r8g8b8, true},
    PixmanFormat{fm::argb8888, PIXMAN_a8r8g8b8, PIXMAN_x8r8g8b8, true},
    PixmanFormat{fm::xbgr8888, PIXMAN_x8b8g8r8, PIXMAN_x8b8g8r8, false},
    PixmanFormat{fm::abgr8888, PIXMAN_a8b8g8r8, PIXMAN_x8b8g8r8, false},
    PixmanFormat{fm::rgb565, PIXMAN_r5g6b5, PIXMAN_r5g6b5, false},
    PixmanFormat{fm::rgb888, PIXMAN_r8g8b8, PIXMAN_r8g8b8, false},
    PixmanFormat{fm::bgr888, PIXMAN_b8g8r8, PIXMAN_b8g8r8, false},
    PixmanFormat{fm::xrgb2101010, PIXMAN_x2r10g10b10, PIXMAN_x2r10g10b10, false},
    PixmanFormat{fm::argb2101010, PIXMAN_a2r10g10b10, PIXMAN_x2r10g10b10, false},
    PixmanFormat{fm::xbgr2101010, PIXMAN_x2b10g10r10, PIXMAN_x2b10g10r10, false},
    PixmanFormat{fm::abgr2101010, PIXMAN_a2b10g10r10, PIXMAN_x2b10g10r10, false},
};

} // namespace

std::span<const PixmanFormat> pixman_formats() noexcept {
    return formats;
}

const PixmanFormat* find_pixman_format(share::Fourcc fourcc) noexcept {
    for (const PixmanFormat& format : formats)
        if (format.fourcc == fourcc) return &format;
    return nullptr;
}

share::Result<void> PixmanContent::keep_copy() {
    const auto& layout = buffer_->layout();
    copy_stride_ = (layout.row_bytes(0) + 3) / 4 * 4;
    copy_.resize(std::size_t{copy_stride_} / 4 * layout.height());
    stale_ = scene::Region(scene::Rect{0, 0, width(), height()});
    return {};
}

share::Result<void> PixmanContent::refresh(const scene::Region& damage) {
    if (copied()) add_stale(stale_, damage, *buffer_);
    auto whole = share::wayland_server::check_present(*buffer_);
    lost_ = lost_ || !whole;
    return whole;
}

share::Result<void> PixmanContent::update_copy(std::vector<share::Step>& steps) {
    if (stale_.empty()) return {};
    const auto& layout = buffer_->layout();
    const scene::Rect part = stale_.extents();
    auto reading = Reading::begin(*buffer_, reading_deadline());
    if (!reading) return std::move(reading).error();
    const std::byte* from = reading->mapping().plane(0).data();
    auto* to = reinterpret_cast<std::byte*>(copy_.data());
    for (auto y = static_cast<std::size_t>(part.y); y < static_cast<std::size_t>(part.y + part.height); ++y)
        std::memcpy(to + y * copy_stride_, from + y * layout.plane(0).stride, layout.row_bytes(0));
    if (auto ended = reading->end(); !ended) return ended;
    stale_.clear();
    steps.push_back({"import", share::Mechanism::map, share::By::compositor,
                     std::uint64_t{layout.row_bytes(0)} * static_cast<std::uint64_t>(part.height), 0,
                     fmt::format("rows {} bytes apart at an odd place: pixman reads multiples of 4 only",
                                 layout.plane(0).stride)});
    return {};
}

share::Result<void> PixmanContent::begin(std::vector<share::Step>& steps) {
    if (copied()) return update_copy(steps);
    auto reading = Reading::begin(*buffer_, reading_deadline());
    if (!reading) return std::move(reading).error();
    if (const std::byte* base = reading->mapping().plane(0).data(); base != base_) {
        blended_.reset();
        opaque_.reset();
        base_ = base;
    }
    reading_.emplace(std::move(*reading));
    return {};
}

share::Result<void> PixmanContent::end() {
    if (!reading_) return {};
    auto ended = reading_->end();
    reading_.reset();
    return ended;
}

pixman_image_t* PixmanContent::image(bool blend) {
    PixmanImage& image = blend ? blended_ : opaque_;
    if (image) return image.get();
    // pixman never writes a source, but takes it as uint32_t*.
    auto* bits = copied() ? copy_.data() : reinterpret_cast<std::uint32_t*>(const_cast<std::byte*>(base_));
    const auto stride = copied() ? copy_stride_ : buffer_->layout().plane(0).stride;
    image.reset(pixman_image_create_bits_no_clear(blend ? format_.blended : format_.opaque, width(), height(),
                                                  bits, static_cast<int>(stride)));
    // Past the edge lies the edge: filtering must not mix in transparent black.
    if (image) pixman_image_set_repeat(image.get(), PIXMAN_REPEAT_PAD);
    return image.get();
}

} // namespace compositor::render
