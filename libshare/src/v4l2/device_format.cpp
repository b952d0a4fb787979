// SPDX-License-Identifier: MIT
// The formats, sizes and frame rates of a device's queues.
#include <share/v4l2/device.hpp>

#include <linux/videodev2.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "ioctl.hpp"
#include "try_format.hpp"

namespace share::v4l2 {
namespace {

/// Enough for any driver; one that never ends its list is broken.
constexpr std::uint32_t most_entries = 1024;

Answer answer_of(const v4l2_format& format) {
    Answer answer;
    if (V4L2_TYPE_IS_MULTIPLANAR(format.type)) {
        const auto& pix = format.fmt.pix_mp;
        answer = {pix.pixelformat, pix.width, pix.height, pix.field, pix.num_planes, {}};
        for (std::size_t i = 0; i < max_memories; ++i)
            answer.memory[i] = {pix.plane_fmt[i].bytesperline, pix.plane_fmt[i].sizeimage};
        return answer;
    }
    const auto& pix = format.fmt.pix;
    answer = {pix.pixelformat, pix.width, pix.height, pix.field, 1, {}};
    answer.memory[0] = {pix.bytesperline, pix.sizeimage};
    return answer;
}

/// Sizes zeroed, and strides that are not wished: the driver's to choose.
void fill(v4l2_format& format, const WantedFormat& wanted, std::uint32_t width, std::uint32_t height) {
    const auto type = format.type;
    format = {};
    format.type = type;
    if (V4L2_TYPE_IS_MULTIPLANAR(type)) {
        auto& pix = format.fmt.pix_mp;
        const auto* const pair = find_pair(wanted.code);
        pix.pixelformat = wanted.code;
        pix.width = width;
        pix.height = height;
        pix.field = V4L2_FIELD_NONE;
        pix.num_planes = pair ? pair->memories : 1;
        pix.plane_fmt[0].bytesperline = wanted.stride;
        return;
    }
    auto& pix = format.fmt.pix;
    pix.pixelformat = wanted.code;
    pix.width = width;
    pix.height = height;
    pix.field = V4L2_FIELD_NONE;
    pix.bytesperline = wanted.stride;
}

std::string offered(const Device& device, Side side) {
    auto codes = device.codes(side);
    std::string text;
    if (codes)
        for (const auto& info : *codes)
            text += fmt::format("{}{}", text.empty() ? "" : " ", fourcc_text(info.code));
    return text.empty() ? "it names no format" : "it offers: " + text;
}

} // namespace

Result<std::vector<CodeInfo>> Device::codes(Side side) const {
    std::vector<CodeInfo> list;
    for (std::uint32_t i = 0; i < most_entries; ++i) {
        v4l2_fmtdesc entry{};
        entry.index = i;
        entry.type = buffer_type(side);
        const int why = call(fd_.get(), VIDIOC_ENUM_FMT, &entry);
        if (why == EINVAL && i > 0) break;
        if (why != 0)
            return refused(why, "listing the formats of the " + queue_text(info_, to_string(side)),
                           "VIDIOC_ENUM_FMT");
        const auto* const text = reinterpret_cast<const char*>(entry.description);
        list.push_back({entry.pixelformat, std::string(text, strnlen(text, sizeof entry.description)),
                        (entry.flags & V4L2_FMT_FLAG_COMPRESSED) != 0,
                        (entry.flags & V4L2_FMT_FLAG_EMULATED) != 0});
    }
    return list;
}

bool Device::offers(Side side, PixelCode code) const {
    auto list = codes(side);
    return list && std::any_of(list->begin(), list->end(),
                               [code](const CodeInfo& info) { return info.code == code; });
}

Result<std::vector<SizeRange>> Device::sizes(PixelCode code) const {
    std::vector<SizeRange> list;
    for (std::uint32_t i = 0; i < most_entries; ++i) {
        v4l2_frmsizeenum entry{};
        entry.index = i;
        entry.pixel_format = code;
        const int why = call(fd_.get(), VIDIOC_ENUM_FRAMESIZES, &entry);
        if (why == EINVAL && i > 0) break;
        if (why != 0)
            return refused(why, fmt::format("listing the sizes of {} on {}", fourcc_text(code), info_.path),
                           "VIDIOC_ENUM_FRAMESIZES");
        if (entry.type == V4L2_FRMSIZE_TYPE_DISCRETE) {
            const auto& d = entry.discrete;
            list.push_back({d.width, d.height, d.width, d.height, 1, 1});
            continue;
        }
        const auto& s = entry.stepwise;
        list.push_back({s.min_width, s.min_height, s.max_width, s.max_height, s.step_width, s.step_height});
        break;
    }
    return list;
}

Result<StreamFormat> Device::format(Side side) const {
    v4l2_format format{};
    format.type = buffer_type(side);
    if (const int why = call(fd_.get(), VIDIOC_G_FMT, &format); why != 0)
        return refused(why, "asking for the format of the " + queue_text(info_, to_string(side)),
                       "VIDIOC_G_FMT");
    return check_answer(answer_of(format));
}

Result<StreamFormat> Device::set_format(Side side, const WantedFormat& wanted) {
    const auto operation = [&] {
        return fmt::format("setting {} {}x{} on the {}", fourcc_text(wanted.code), wanted.width,
                           wanted.height, queue_text(info_, to_string(side)));
    };
    v4l2_format format{};
    format.type = buffer_type(side);
    if (const int why = call(fd_.get(), VIDIOC_G_FMT, &format); why != 0)
        return refused(why, operation(), "VIDIOC_G_FMT");
    const auto now = answer_of(format);
    const bool keep = wanted.width == 0 || wanted.height == 0;
    fill(format, wanted, keep ? now.width : wanted.width, keep ? now.height : wanted.height);
    if (const int why = call(fd_.get(), VIDIOC_S_FMT, &format); why != 0)
        return refused(why, operation(),
                       why == EBUSY ? "it has buffers: somebody streams, or free them first"
                                    : offered(*this, side));
    const auto answer = answer_of(format);
    if (answer.code != wanted.code)
        return make_error(
            Code::unsupported, operation(),
            fmt::format("the driver gives {} instead; {}", fourcc_text(answer.code), offered(*this, side)));
    if (wanted.exact && !keep && (answer.width != wanted.width || answer.height != wanted.height))
        return make_error(Code::unsupported, operation(),
                          fmt::format("the driver makes it {}x{}", answer.width, answer.height));
    if (wanted.exact && wanted.stride != 0 && answer.memory[0].stride != wanted.stride)
        return make_error(Code::unsupported, operation(),
                          fmt::format("rows of {} bytes were asked for, the driver makes them {}",
                                      wanted.stride, answer.memory[0].stride));
    return check_answer(answer);
}

Result<Answer> try_format(const Device& device, Side side, const WantedFormat& wanted) {
    v4l2_format format{};
    format.type = device.buffer_type(side);
    fill(format, wanted, wanted.width, wanted.height);
    if (const int why = call(device.fd(), VIDIOC_TRY_FMT, &format); why != 0)
        return refused(why,
                       fmt::format("trying {} {}x{} on the {}", fourcc_text(wanted.code), wanted.width,
                                   wanted.height, queue_text(device.info(), to_string(side))),
                       why == ENOTTY ? "the driver has no VIDIOC_TRY_FMT" : "VIDIOC_TRY_FMT");
    return answer_of(format);
}

Result<std::optional<double>> Device::set_rate(Side side, std::uint32_t numerator,
                                               std::uint32_t denominator) {
    v4l2_streamparm parm{};
    parm.type = buffer_type(side);
    const auto operation = [&] { return fmt::format("setting the frame rate of {}", info_.path); };
    if (numerator == 0 || denominator == 0)
        return make_error(Code::invalid_argument, operation(),
                          fmt::format("{}/{} frames a second make no sense", numerator, denominator));
    auto& frame = side == Side::capture ? parm.parm.capture.timeperframe : parm.parm.output.timeperframe;
    frame = {denominator, numerator}; // V4L2 counts seconds a frame
    const int why = call(fd_.get(), VIDIOC_S_PARM, &parm);
    if (why == ENOTTY || why == EINVAL) return std::optional<double>();
    if (why != 0) return refused(why, operation(), "VIDIOC_S_PARM");
    if (frame.numerator == 0 || frame.denominator == 0) return std::optional<double>();
    return std::optional(static_cast<double>(frame.denominator) / frame.numerator);
}

} // namespace share::v4l2
