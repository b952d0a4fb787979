// SPDX-License-Identifier: MIT
#include <share/candidate.hpp>

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "solve/rules.hpp"

namespace share {
namespace {

std::string picture_text(const Candidate& candidate, std::uint32_t width, std::uint32_t height) {
    return fmt::format("laying out {}x{} {} {}", width, height, fourcc_text(candidate.pair.format),
                       modifier_text(candidate.pair.modifier));
}

bool keeps_to(const Limits& limits, const Layout& layout) noexcept {
    const auto planes = layout.planes();
    return layout.size() <= limits.max_bytes &&
           std::all_of(planes.begin(), planes.end(),
                       [&](const Plane& plane) { return plane.stride <= limits.max_stride; });
}

std::string layout_text(const Candidate& candidate) {
    const FormatModifier& pair = candidate.pair;
    if (pair.format == 0) return "any format, linear";
    if (pair.modifier == modifier::none)
        return fmt::format("{} in the implicit layout of {}", fourcc_text(pair.format), candidate.device);
    return fmt::format("{} {}", fourcc_text(pair.format), modifier_text(pair.modifier));
}

std::string rules_text(const LayoutRules& rules) {
    std::string text = fmt::format("strides of {}", rules.stride_align);
    if (rules.offset_align > 1) text += fmt::format(", plane offsets of {}", rules.offset_align);
    if (rules.height_align > 1) text += fmt::format(", rows padded to {}", rules.height_align);
    if (rules.size_align > 1) text += fmt::format(", size of {}", rules.size_align);
    if (rules.planes_follow) text += ", planes without gaps";
    return text;
}

} // namespace

bool solve::has_room(const FormatModifier& pair, const LayoutRules& rules, const Limits& limits) {
    if (limits.min_width > limits.max_width || limits.min_height > limits.max_height) return false;
    if (rules.stride_align > limits.max_stride || rules.size_align > limits.max_bytes) return false;
    if (pair.modifier != modifier::linear || pair.format == 0)
        return true; // the rest is the driver's arithmetic
    const auto layout = Layout::linear(limits.min_width, limits.min_height, pair.format, rules);
    return layout && keeps_to(limits, *layout);
}

bool solve::can_lay_out(const HeapOffer& heap, const FormatModifier& pair, std::string_view device) noexcept {
    if (pair.format == 0) return heap.rows || heap.driver_layouts; // whatever the caller will choose
    if (pair.modifier == modifier::linear) return heap.rows;
    if (!heap.driver_layouts || heap.device.empty()) return false;
    return pair.modifier != modifier::none || heap.device == device;
}

Exports exports_of(const HeapOffer& heap, bool sealed) noexcept {
    if (!sealed) return heap.traits.exports;
    const bool knows_seals =
        heap.traits.kind == MemoryKind::memfd || heap.traits.kind == MemoryKind::hugetlbfs;
    return knows_seals && contains(heap.traits.exports, Exports::memfd) ? Exports::memfd : Exports::none;
}

bool is_possible(const Candidate& candidate) {
    const LayoutRules& rules = candidate.rules;
    if (!std::has_single_bit(rules.stride_align) || !std::has_single_bit(rules.offset_align) ||
        !std::has_single_bit(rules.height_align) || !std::has_single_bit(rules.size_align))
        return false;
    if (!candidate.sealed && !candidate.writer.empty()) return false;
    if (candidate.exports != exports_of(candidate.heap, candidate.sealed)) return false;
    if (candidate.sealed && candidate.exports == Exports::none) return false;
    if (candidate.device_only && candidate.heap.traits.needs_mapping) return false;
    return solve::can_lay_out(candidate.heap, candidate.pair, candidate.device) &&
           solve::has_room(candidate.pair, rules, candidate.limits);
}

Result<Layout> layout_of(const Candidate& candidate, std::uint32_t width, std::uint32_t height) {
    const auto operation = [&] { return picture_text(candidate, width, height); };
    const Limits& limits = candidate.limits;
    if (candidate.pair.format == 0)
        return make_error(Code::invalid_argument, operation(),
                          "no party named a format; choose one and call Layout::linear with the rules");
    if (candidate.pair.modifier != modifier::linear)
        return make_error(Code::unsupported, operation(),
                          fmt::format("only the driver of {} knows this layout; let it allocate the buffer",
                                      candidate.heap.device));
    if (width < limits.min_width || height < limits.min_height)
        return make_error(
            Code::limit, operation(),
            fmt::format("the parties take at least {}x{}", limits.min_width, limits.min_height));
    if (width > limits.max_width || height > limits.max_height)
        return make_error(Code::limit, operation(),
                          fmt::format("the parties take at most {}x{}", limits.max_width, limits.max_height));
    auto layout = Layout::linear(width, height, candidate.pair.format, candidate.rules);
    if (layout && !keeps_to(limits, *layout))
        return make_error(Code::limit, operation(),
                          fmt::format("stride {} and {} bytes in all; the parties take at most {} and {}",
                                      layout->plane(0).stride, layout->size(), limits.max_stride,
                                      limits.max_bytes));
    return layout;
}

AllocateOptions allocate_options(const Candidate& candidate) noexcept {
    AllocateOptions options;
    // What the heap's table says, so that a heap which has changed its mind refuses.
    if (candidate.heap.traits.cache == CachePolicy::cached) options.cache = CacheChoice::cached;
    if (candidate.heap.traits.cache == CachePolicy::write_combined)
        options.cache = CacheChoice::write_combined;
    options.device_only = candidate.device_only;
    return options;
}

std::string describe(const Candidate& candidate) {
    std::string text =
        fmt::format("{} in {}, handed out as {}, {}", layout_text(candidate), candidate.heap.name,
                    to_string(candidate.exports), rules_text(candidate.rules));
    if (candidate.sealed)
        text += fmt::format(", sealed against writing{}",
                            candidate.writer.empty() ? std::string() : " by all but " + candidate.writer);
    if (candidate.device_only) text += ", never mapped by a CPU";
    return text + fmt::format(", {}, {}", to_string(candidate.sharing), to_string(candidate.state));
}

} // namespace share
