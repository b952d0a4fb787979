// SPDX-License-Identifier: MIT
#include <share/v4l2/format.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace share::v4l2 {
namespace {

constexpr PixelCode code(char a, char b, char c, char d) noexcept {
    return fourcc(a, b, c, d);
}

// Letters of V4L2 at the left, DRM's at the right. Only formats that Layout knows.
constexpr std::array pairs{
    FormatPair{code('X', 'R', '2', '4'), format::xrgb8888},                    // XBGR32: bytes B G R X
    FormatPair{code('A', 'R', '2', '4'), format::argb8888},                    // ABGR32
    FormatPair{code('X', 'B', '2', '4'), format::xbgr8888},                    // RGBX32: bytes R G B X
    FormatPair{code('A', 'B', '2', '4'), format::abgr8888},                    // RGBA32
    FormatPair{code('B', 'X', '2', '4'), fourcc('B', 'X', '2', '4')},          // XRGB32: bytes X R G B
    FormatPair{code('B', 'A', '2', '4'), fourcc('B', 'A', '2', '4')},          // ARGB32
    FormatPair{code('R', 'X', '2', '4'), fourcc('R', 'X', '2', '4')},          // BGRX32: bytes X B G R
    FormatPair{code('R', 'A', '2', '4'), fourcc('R', 'A', '2', '4')},          // BGRA32
    FormatPair{code('B', 'G', 'R', '4'), format::xrgb8888, 1, true},           // BGR32
    FormatPair{code('R', 'G', 'B', '4'), fourcc('B', 'X', '2', '4'), 1, true}, // RGB32
    FormatPair{code('R', 'G', 'B', '3'), format::bgr888},                      // RGB24: bytes R G B
    FormatPair{code('B', 'G', 'R', '3'), format::rgb888},                      // BGR24: bytes B G R
    FormatPair{code('R', 'G', 'B', 'P'), format::rgb565},
    FormatPair{code('X', 'R', '1', '5'), fourcc('X', 'R', '1', '5')},
    FormatPair{code('A', 'R', '1', '5'), fourcc('A', 'R', '1', '5')},
    FormatPair{code('R', 'G', 'B', 'O'), fourcc('X', 'R', '1', '5'), 1, true}, // RGB555
    FormatPair{code('X', 'R', '1', '2'), fourcc('X', 'R', '1', '2')},
    FormatPair{code('A', 'R', '1', '2'), fourcc('A', 'R', '1', '2')},
    FormatPair{code('G', 'R', 'E', 'Y'), format::r8},
    FormatPair{code('Y', '1', '6', ' '), fourcc('R', '1', '6', ' ')},
    FormatPair{code('Y', 'U', 'Y', 'V'), format::yuyv},
    FormatPair{code('Y', 'V', 'Y', 'U'), fourcc('Y', 'V', 'Y', 'U')},
    FormatPair{code('U', 'Y', 'V', 'Y'), fourcc('U', 'Y', 'V', 'Y')},
    FormatPair{code('V', 'Y', 'U', 'Y'), fourcc('V', 'Y', 'U', 'Y')},
    FormatPair{code('N', 'V', '1', '2'), format::nv12},
    FormatPair{code('N', 'V', '2', '1'), format::nv21},
    FormatPair{code('N', 'V', '1', '6'), format::nv16},
    FormatPair{code('N', 'V', '6', '1'), fourcc('N', 'V', '6', '1')},
    FormatPair{code('N', 'V', '2', '4'), fourcc('N', 'V', '2', '4')},
    FormatPair{code('P', '0', '1', '0'), format::p010},
    FormatPair{code('Y', 'U', '1', '2'), format::yuv420},
    FormatPair{code('Y', 'V', '1', '2'), format::yvu420},
    FormatPair{code('4', '2', '2', 'P'), format::yuv422},
    FormatPair{code('N', 'M', '1', '2'), format::nv12, 2},
    FormatPair{code('N', 'M', '2', '1'), format::nv21, 2},
    FormatPair{code('N', 'M', '1', '6'), format::nv16, 2},
    FormatPair{code('N', 'M', '6', '1'), fourcc('N', 'V', '6', '1'), 2},
    FormatPair{code('Y', 'M', '1', '2'), format::yuv420, 3},
    FormatPair{code('Y', 'M', '2', '1'), format::yvu420, 3},
    FormatPair{code('Y', 'M', '1', '6'), format::yuv422, 3},
    FormatPair{code('Y', 'M', '6', '1'), fourcc('Y', 'V', '1', '6'), 3},
    FormatPair{code('Y', 'M', '2', '4'), format::yuv444, 3},
    FormatPair{code('Y', 'M', '4', '2'), fourcc('Y', 'V', '2', '4'), 3},
};

constexpr std::uint32_t byte_row = 4096; ///< of a buffer of bytes
constexpr std::uint32_t field_any = 0, field_none = 1;

std::string describe(const Answer& answer) {
    return fmt::format("checking the driver's format {}x{} {}", answer.width, answer.height,
                       fourcc_text(answer.code));
}

Error wrong(const Answer& answer, std::string why) {
    return make_error(Code::invalid_argument, describe(answer), std::move(why) + "; the driver is at fault");
}

/// Planes one behind the other in one memory, their strides derived from the first one's, as V4L2 says.
Result<std::vector<Plane>> planes_in_one(const Answer& answer, const FormatInfo& info) {
    std::vector<Plane> planes;
    std::uint64_t offset = 0;
    const std::uint64_t line = answer.memory[0].stride;
    for (std::size_t i = 0; i < info.plane_count; ++i) {
        const auto& plane = info.planes[i];
        const std::uint64_t scaled = line * plane.block_bytes;
        const std::uint64_t divisor = std::uint64_t{info.planes[0].block_bytes} * plane.hsub;
        if (i > 0 && scaled % divisor != 0)
            return wrong(answer, fmt::format("a stride of {} leaves no whole stride for plane {}", line, i));
        const std::uint64_t stride = i == 0 ? line : scaled / divisor;
        planes.push_back({offset, static_cast<std::uint32_t>(stride)});
        // 32-bit factors: the product cannot overflow, and Layout checks the sum against the size.
        offset += stride * ((answer.height + plane.vsub - 1) / plane.vsub);
    }
    return planes;
}

Result<Layout> picture_layout(const Answer& answer, const FormatPair& pair) {
    const auto* const info = find_format(pair.format);
    if (!info) return wrong(answer, "its format has no layout");
    std::vector<std::uint64_t> sizes;
    for (std::size_t i = 0; i < pair.memories; ++i)
        sizes.push_back(answer.memory[i].size);
    if (pair.memories == 1) {
        auto planes = planes_in_one(answer, *info);
        if (!planes) return std::move(planes).error();
        return Layout::describe(answer.width, answer.height, pair.format, modifier::linear, *planes,
                                sizes[0]);
    }
    std::vector<Plane> planes;
    for (std::size_t i = 0; i < pair.memories; ++i)
        planes.push_back({0, answer.memory[i].stride});
    return Layout::describe(answer.width, answer.height, pair.format, modifier::linear, planes,
                            std::span<const std::uint64_t>(sizes));
}

Result<StreamFormat> check_compressed(const Answer& answer, StreamFormat format) {
    if (answer.memories != 1)
        return wrong(answer, fmt::format("compressed data in {} memories", answer.memories));
    if (answer.memory[0].size == 0) return wrong(answer, "no bytes for a compressed frame");
    format.sizes = {answer.memory[0].size};
    return format;
}

} // namespace

std::span<const FormatPair> format_pairs() noexcept {
    return pairs;
}

const FormatPair* find_pair(PixelCode wanted) noexcept {
    const auto* const at =
        std::find_if(pairs.begin(), pairs.end(), [&](const auto& p) { return p.code == wanted; });
    return at == pairs.end() ? nullptr : at;
}

std::vector<PixelCode> codes_of(Fourcc wanted) {
    std::vector<PixelCode> codes;
    for (const bool deprecated : {false, true})
        for (const auto& pair : pairs)
            if (pair.format == wanted && pair.deprecated == deprecated) codes.push_back(pair.code);
    return codes;
}

Result<StreamFormat> check_answer(const Answer& answer) {
    if (answer.field != field_none && answer.field != field_any)
        return make_error(
            Code::unsupported, describe(answer),
            fmt::format("the frames are interlaced (field order {}); only whole frames are taken",
                        answer.field));
    if (answer.width == 0 || answer.height == 0 || answer.width > Layout::max_dimension ||
        answer.height > Layout::max_dimension)
        return wrong(answer, "absurd dimensions");
    StreamFormat format{answer.code, answer.width, answer.height, std::nullopt, {}};
    const auto* const pair = find_pair(answer.code);
    if (!pair) return check_compressed(answer, std::move(format));
    if (answer.memories != pair->memories)
        return wrong(answer,
                     fmt::format("{} memories where the format has {}", answer.memories, pair->memories));
    auto layout = picture_layout(answer, *pair);
    if (!layout) {
        if (layout.error().operation != describe(answer))
            return wrong(answer, fmt::format("stride {}, size {}: {}", answer.memory[0].stride,
                                             answer.memory[0].size, layout.error().text()));
        return std::move(layout).error();
    }
    format.layout = *layout;
    for (std::size_t i = 0; i < pair->memories; ++i)
        format.sizes.push_back(answer.memory[i].size);
    return format;
}

Result<Layout> buffer_layout(const StreamFormat& format) {
    if (format.layout) return *format.layout;
    const std::uint64_t rows = (format.sizes.at(0) + byte_row - 1) / byte_row;
    if (rows > Layout::max_dimension)
        return make_error(Code::limit, fmt::format("making buffers for {} frames", fourcc_text(format.code)),
                          fmt::format("the driver asks for {} bytes, more than {}", format.sizes[0],
                                      std::uint64_t{byte_row} * Layout::max_dimension));
    const Plane plane{0, byte_row};
    return Layout::describe(byte_row, static_cast<std::uint32_t>(rows), format::r8, modifier::linear,
                            std::span(&plane, 1), rows * byte_row);
}

} // namespace share::v4l2
