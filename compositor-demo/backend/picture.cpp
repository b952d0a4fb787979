// SPDX-License-Identifier: MIT
#include "backend/picture.hpp"

#include <cstring>

#include "render/client_memory.hpp"

namespace compositor::backend {

namespace {

bool swapped(share::Fourcc format) {
    return format == share::format::xbgr8888 || format == share::format::abgr8888;
}

} // namespace

bool can_scan_out(const share::Buffer& buffer) {
    const auto& layout = buffer.layout();
    const auto format = layout.format();
    return layout.row_addressable() && buffer.memory()->traits().mappable &&
           (format == share::format::xrgb8888 || format == share::format::argb8888 || swapped(format));
}

share::Result<std::vector<std::uint32_t>> read_picture(const std::shared_ptr<share::Buffer>& buffer) {
    const auto& layout = buffer->layout();
    auto reading = render::Reading::begin(*buffer, share::Deadline::in(std::chrono::milliseconds(100)));
    if (!reading) return std::move(reading).error();
    const std::size_t width = layout.width();
    std::vector<std::uint32_t> pixels(width * layout.height());
    for (std::size_t y = 0; y < layout.height(); ++y)
        std::memcpy(&pixels[y * width], reading->mapping().row(0, static_cast<std::uint32_t>(y)).data(),
                    width * 4);
    if (auto ended = reading->end(); !ended) return std::move(ended).error();
    if (swapped(layout.format()))
        for (std::uint32_t& p : pixels)
            p = (p & 0xff00ff00U) | ((p & 0xffU) << 16) | ((p >> 16) & 0xffU);
    return pixels;
}

} // namespace compositor::backend
