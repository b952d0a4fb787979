// SPDX-License-Identifier: MIT
#include "try_layout.hpp"

#include <cstdlib>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <share/handle.hpp>

#include "pattern.hpp"

namespace share::egl {

namespace {

using namespace std::chrono_literals;

std::string compare(Fourcc format, const ProbeContext::Pixels& pixels) {
    const FormatInfo* info = find_format(format);
    const int tolerance = info && info->yuv ? 8 : 4;
    // Pixels beside a border of quadrants may be filtered where chroma is subsampled.
    for (std::uint32_t y = 2; y < pattern_size; y += 4) {
        for (std::uint32_t x = 2; x < pattern_size; x += 4) {
            const Rgb want = pattern_colour(format, x, y);
            const std::uint8_t* got = &pixels[(y * pattern_size + x) * 4];
            if (std::abs(got[0] - want.r) > tolerance || std::abs(got[1] - want.g) > tolerance ||
                std::abs(got[2] - want.b) > tolerance)
                return fmt::format("wrong colours: pixel {},{} is {},{},{} and should be {},{},{}", x, y,
                                   got[0], got[1], got[2], want.r, want.g, want.b);
        }
    }
    return {};
}

Result<std::shared_ptr<Buffer>> make(std::shared_ptr<Memory> memory, const Layout& layout) {
    auto buffer = Buffer::create(std::move(memory), 0, layout);
    if (!buffer) return std::move(buffer).error();
    auto mapping = (*buffer)->map(Access::write, Deadline::in(100ms));
    if (!mapping) return std::move(mapping).error();
    write_pattern(*mapping);
    if (auto ended = mapping->end(); !ended) return std::move(ended).error();
    return buffer;
}

} // namespace

Result<std::string> try_layout(const std::shared_ptr<Display>& display, Heap& heap, ProbeContext& context,
                               const Layout& layout, bool external) {
    auto memory = heap.allocate(layout.size(), "share probe");
    if (!memory) return std::move(memory).error();
    return try_memory(display, *std::move(memory), context, layout, external);
}

Result<std::string> try_memory(const std::shared_ptr<Display>& display, std::shared_ptr<Memory> memory,
                               ProbeContext& context, const Layout& layout, bool external) {
    auto buffer = make(std::move(memory), layout);
    if (!buffer) return std::move(buffer).error();
    // Hardware is given a dma-buf of it: made here already, so that what comes below is the driver's answer.
    std::optional<Result<DmabufHandle>> ours;
    if (!display->is_software()) ours = (*buffer)->export_dmabuf();
    if (ours && !*ours) return ours->error();
    auto image = Image::import(display, *buffer);
    if (!image) return image.error().text();
    auto pixels = context.sample(*image, external);
    if (!pixels) return pixels.error().text();
    return compare(layout.format(), *pixels);
}

} // namespace share::egl
