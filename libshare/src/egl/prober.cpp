// SPDX-License-Identifier: MIT
#include <share/egl/prober.hpp>

#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include <share/egl/image.hpp>

#include "pattern.hpp"
#include "probe_context.hpp"

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

class Prober {
public:
    Prober(std::shared_ptr<Display> display, Heap* heap, std::string no_heap, ProbeContext context)
        : display_(std::move(display)),
          heap_(heap),
          no_heap_(std::move(no_heap)),
          context_(std::move(context)) {}

    ProbeResult probe(const AdvertisedFormat& pair) {
        ProbeResult result{pair.format, pair.modifier, ProbeState::unprobeable, pair.external_only, {}};
        if (pair.modifier != modifier::linear && pair.modifier != modifier::none) {
            result.reason = "only the driver can make such a tiling";
        } else if (!find_format(pair.format) || !pattern_known(pair.format)) {
            result.reason = "libshare cannot write this format";
        } else if (!heap_) {
            result.reason = no_heap_;
        } else {
            result.reason = run(pair);
            result.state = result.reason.empty() ? ProbeState::good : ProbeState::bad;
        }
        return result;
    }

private:
    // Empty when the right colours came back.
    std::string run(const AdvertisedFormat& pair) {
        auto buffer = make(pair);
        if (!buffer) return buffer.error().text();
        auto image = Image::import(display_, *buffer);
        if (!image) return image.error().text();
        auto pixels = context_.sample(*image, pair.external_only);
        if (!pixels) return pixels.error().text();
        return compare(pair.format, *pixels);
    }

    Result<std::shared_ptr<Buffer>> make(const AdvertisedFormat& pair) {
        // 256: what AMD's devices want of linear strides; others want less.
        auto chosen = Layout::linear(pattern_size, pattern_size, pair.format, {256, 4096, 1, 4096});
        if (!chosen) return std::move(chosen).error();
        auto layout = Layout::describe(pattern_size, pattern_size, pair.format, pair.modifier,
                                       chosen->planes(), chosen->size());
        if (!layout) return std::move(layout).error();
        auto memory = heap_->allocate(layout->size(), "share probe");
        if (!memory) return std::move(memory).error();
        auto buffer = Buffer::create(std::move(*memory), 0, *layout);
        if (!buffer) return std::move(buffer).error();
        auto mapping = (*buffer)->map(Access::write, Deadline::in(100ms));
        if (!mapping) return std::move(mapping).error();
        write_pattern(*mapping);
        if (auto ended = mapping->end(); !ended) return std::move(ended).error();
        return buffer;
    }

    std::shared_ptr<Display> display_;
    Heap* heap_;
    std::string no_heap_;
    ProbeContext context_;
};

} // namespace

Result<std::vector<ProbeResult>> probe_formats(const std::shared_ptr<Display>& display,
                                               const HeapTable& heaps,
                                               std::span<const AdvertisedFormat> pairs) {
    if (auto current = display->make_current(); !current) return std::move(current).error();
    // A software driver takes the memfd itself, hardware a udmabuf only.
    auto heap = display->is_software() ? heaps.first_of({"memfd", "udmabuf"}) : heaps.first_of({"udmabuf"});
    auto context = ProbeContext::create();
    if (!context) return std::move(context).error();
    Prober prober(display, heap ? *heap : nullptr, heap ? std::string() : heap.error().text(),
                  std::move(*context));
    std::vector<ProbeResult> results;
    results.reserve(pairs.size());
    for (const AdvertisedFormat& pair : pairs)
        results.push_back(prober.probe(pair));
    return results;
}

Result<std::vector<ProbeResult>> probe_formats(const std::shared_ptr<Display>& display,
                                               const HeapTable& heaps) {
    const auto pairs = display->advertised_formats();
    return probe_formats(display, heaps, pairs);
}

} // namespace share::egl
