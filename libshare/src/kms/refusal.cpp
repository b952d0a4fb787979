// SPDX-License-Identifier: MIT
#include "refusal.hpp"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace share::kms {
namespace {

std::string sizes_text(const Capabilities& caps) {
    return fmt::format("{}x{} to {}x{} pixels", caps.min_width, caps.min_height, caps.max_width,
                       caps.max_height);
}

std::string strides_text(const Layout& layout) {
    std::string text;
    for (const Plane& plane : layout.planes())
        text += fmt::format("{}{} bytes at offset {}", text.empty() ? "" : ", ", plane.stride, plane.offset);
    return text;
}

bool size_inside(const Capabilities& caps, const Layout& layout) {
    return layout.width() >= caps.min_width && layout.width() <= caps.max_width &&
           layout.height() >= caps.min_height && layout.height() <= caps.max_height;
}

bool same_layout(std::uint64_t a, std::uint64_t b) {
    // "No modifier" is linear for what the CPU wrote; a driver may list either.
    const auto plain = [](std::uint64_t m) { return m == modifier::none || m == modifier::linear; };
    return a == b || (plain(a) && plain(b));
}

struct Reason {
    Code code;
    std::string text;
};

Reason reason_of(const Limits& limits, const Layout& layout) {
    if (!size_inside(limits.capabilities, layout))
        return {Code::limit,
                fmt::format("its size is outside the device's limits, {}; show a smaller (or larger) "
                            "buffer",
                            sizes_text(limits.capabilities))};
    const auto has_format = [&](const FormatModifier& pair) { return pair.format == layout.format(); };
    const auto has_pair = [&](const FormatModifier& pair) {
        return has_format(pair) && same_layout(pair.modifier, layout.modifier());
    };
    if (std::none_of(limits.formats.begin(), limits.formats.end(), has_format))
        return {Code::unsupported, fmt::format("its primary plane shows {}; convert to one of these",
                                               formats_text(limits.formats))};
    if (std::none_of(limits.formats.begin(), limits.formats.end(), has_pair))
        return {Code::unsupported,
                fmt::format("its primary plane shows {}; allocate with one of these modifiers",
                            formats_text(limits.formats))};
    return {Code::invalid_argument,
            fmt::format(
                "size and format are inside its limits ({}; {}), so its stride or offset does not suit the "
                "device ({}); try strides and offsets that are multiples of 256, or the heap dumb",
                sizes_text(limits.capabilities), formats_text(limits.formats), strides_text(layout))};
}

} // namespace

Error explain_refusal(const Limits& limits, const Layout& layout, int os_errno) {
    std::string operation =
        fmt::format("making a framebuffer of {}x{} {} ({}) on {}", layout.width(), layout.height(),
                    fourcc_text(layout.format()), modifier_text(layout.modifier()), limits.device);
    if (os_errno != EINVAL && os_errno != ERANGE && os_errno != EOPNOTSUPP)
        return error_from_errno(os_errno, std::move(operation),
                                fmt::format("ADDFB2; the device's limits are {} and {}",
                                            sizes_text(limits.capabilities), formats_text(limits.formats)));
    auto [code, text] = reason_of(limits, layout);
    return Error{code, os_errno, std::move(operation), std::move(text)};
}

} // namespace share::kms
