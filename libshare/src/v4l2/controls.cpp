// SPDX-License-Identifier: MIT
#include <share/v4l2/device.hpp>

#include <linux/videodev2.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "ioctl.hpp"

namespace share::v4l2 {
namespace {

constexpr std::size_t most_controls = 4096;

bool is_number(std::uint32_t type) {
    switch (type) {
    case V4L2_CTRL_TYPE_INTEGER:
    case V4L2_CTRL_TYPE_BOOLEAN:
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_BUTTON:
    case V4L2_CTRL_TYPE_INTEGER64:
    case V4L2_CTRL_TYPE_BITMASK:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
        return true;
    default:
        return false;
    }
}

/// The type decides which member of the union counts.
std::uint32_t type_of(int fd, std::uint32_t id) {
    v4l2_query_ext_ctrl query{};
    query.id = id;
    return call(fd, VIDIOC_QUERY_EXT_CTRL, &query) == 0 ? query.type : 0;
}

v4l2_ext_controls one(v4l2_ext_control& control) {
    v4l2_ext_controls list{};
    list.which = V4L2_CTRL_WHICH_CUR_VAL;
    list.count = 1;
    list.controls = &control;
    return list;
}

} // namespace

std::vector<ControlInfo> Device::controls() const {
    std::vector<ControlInfo> list;
    v4l2_query_ext_ctrl query{};
    query.id = V4L2_CTRL_FLAG_NEXT_CTRL;
    while (list.size() < most_controls && call(fd_.get(), VIDIOC_QUERY_EXT_CTRL, &query) == 0) {
        if (is_number(query.type) && (query.flags & V4L2_CTRL_FLAG_DISABLED) == 0)
            list.push_back({query.id, std::string(query.name, strnlen(query.name, sizeof query.name)),
                            query.minimum, query.maximum, query.default_value,
                            (query.flags & V4L2_CTRL_FLAG_READ_ONLY) != 0});
        const std::uint32_t last = query.id;
        query = {};
        query.id = last | V4L2_CTRL_FLAG_NEXT_CTRL;
    }
    return list;
}

Result<std::int64_t> Device::control(std::uint32_t id) const {
    v4l2_ext_control control{};
    control.id = id;
    auto list = one(control);
    if (const int why = call(fd_.get(), VIDIOC_G_EXT_CTRLS, &list); why != 0)
        return refused(why, fmt::format("reading control {:#x} of {}", id, info_.path));
    if (type_of(fd_.get(), id) == V4L2_CTRL_TYPE_INTEGER64) return std::int64_t{control.value64};
    return std::int64_t{control.value};
}

Result<void> Device::set_control(std::uint32_t id, std::int64_t value) {
    v4l2_ext_control control{};
    control.id = id;
    if (type_of(fd_.get(), id) == V4L2_CTRL_TYPE_INTEGER64)
        control.value64 = value;
    else
        control.value = static_cast<std::int32_t>(value);
    auto list = one(control);
    if (const int why = call(fd_.get(), VIDIOC_S_EXT_CTRLS, &list); why != 0)
        return refused(why, fmt::format("setting control {:#x} of {} to {}", id, info_.path, value));
    return {};
}

Result<void> Device::set_control(std::string_view name, std::int64_t value) {
    for (const auto& info : controls())
        if (info.name == name) return set_control(info.id, value);
    return make_error(Code::unsupported, fmt::format("setting '{}' of {}", name, info_.path),
                      fmt::format("the driver {} has no such control", info_.driver));
}

} // namespace share::v4l2
