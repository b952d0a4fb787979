// SPDX-License-Identifier: MIT
// Opening and finding video nodes.
#include <share/v4l2/device.hpp>

#include <fcntl.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <functional>

#include <fmt/format.h>

#include "ioctl.hpp"

namespace share::v4l2 {
namespace {

template<std::size_t N>
std::string text_of(const __u8 (&bytes)[N]) {
    const auto* const text = reinterpret_cast<const char*>(bytes);
    return std::string(text, strnlen(text, N)); // a driver need not end it
}

DeviceInfo info_of(const std::string& path, const v4l2_capability& said) {
    const std::uint32_t caps =
        (said.capabilities & V4L2_CAP_DEVICE_CAPS) != 0 ? said.device_caps : said.capabilities;
    const auto has = [caps](std::uint32_t bits) { return (caps & bits) != 0; };
    DeviceInfo info{path, text_of(said.driver), text_of(said.card), text_of(said.bus_info), caps};
    const bool both = has(V4L2_CAP_VIDEO_CAPTURE) && has(V4L2_CAP_VIDEO_OUTPUT);
    const bool both_mplane = has(V4L2_CAP_VIDEO_CAPTURE_MPLANE) && has(V4L2_CAP_VIDEO_OUTPUT_MPLANE);
    info.m2m = has(V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE) || both || both_mplane;
    info.captures = !info.m2m && has(V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE);
    info.outputs = !info.m2m && has(V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_VIDEO_OUTPUT_MPLANE);
    info.multiplanar =
        has(V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_VIDEO_OUTPUT_MPLANE | V4L2_CAP_VIDEO_M2M_MPLANE);
    info.streams = has(V4L2_CAP_STREAMING);
    return info;
}

Error open_error(int os_errno, const std::string& path) {
    std::string advice;
    if (os_errno == EACCES) advice = "join the group that owns it (often video)";
    if (os_errno == ENOENT) advice = "no such node; is the device plugged in and its driver loaded?";
    if (os_errno == EBUSY) advice = "another program has it for itself";
    return refused(os_errno, fmt::format("opening the video device {}", path), std::move(advice));
}

bool is(const DeviceInfo& info, Kind kind) {
    return kind == Kind::m2m ? info.m2m : kind == Kind::capture ? info.captures : info.outputs;
}

std::string_view word(Kind kind) {
    return kind == Kind::m2m ? "memory-to-memory" : kind == Kind::capture ? "capture" : "output";
}

std::vector<std::string> nodes() {
    std::vector<std::pair<unsigned, std::string>> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/dev", ignored)) {
        const std::string name = entry.path().filename();
        unsigned number = 0;
        if (!name.starts_with("video")) continue;
        const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), number);
        if (error == std::errc() && end == name.data() + name.size())
            found.emplace_back(number, entry.path());
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> paths;
    for (auto& [number, path] : found)
        paths.push_back(std::move(path));
    return paths;
}

Result<Device> find_where(std::string_view driver, Kind kind, const std::string& what,
                          const std::function<bool(const Device&)>& good) {
    std::string seen;
    for (const auto& path : nodes()) {
        auto device = Device::open(path);
        if (!device) {
            seen += fmt::format("{}{}", seen.empty() ? "" : "; ", device.error().text());
            continue;
        }
        const auto& info = device->info();
        if ((driver.empty() || info.driver == driver) && is(info, kind) && good(*device)) return device;
        seen += fmt::format("{}{} is {} '{}'", seen.empty() ? "" : "; ", path, info.driver, info.card);
    }
    return make_error(Code::unavailable,
                      fmt::format("finding a {} video device{}{}{}", word(kind),
                                  driver.empty() ? "" : " of driver ", driver, what),
                      seen.empty() ? "this machine has no /dev/video*" : "none among: " + seen);
}

} // namespace

std::string_view to_string(Side side) noexcept {
    return side == Side::capture ? "capture" : "output";
}

Result<Device> Device::open(const std::string& path) {
    // Non-blocking: waiting is done by poll, with a deadline.
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!fd) return open_error(errno, path);
    v4l2_capability said{};
    const int why = call(fd.get(), VIDIOC_QUERYCAP, &said);
    if (why == ENOTTY || why == EINVAL || why == EINTR)
        return make_error(Code::unsupported, fmt::format("opening the video device {}", path),
                          "it is no V4L2 device");
    if (why != 0) return refused(why, fmt::format("asking {} what it is", path), "VIDIOC_QUERYCAP");
    return Device(std::move(fd), info_of(path, said));
}

std::vector<DeviceInfo> Device::list() {
    std::vector<DeviceInfo> infos;
    for (const auto& path : nodes())
        if (auto device = open(path)) infos.push_back(device->info());
    return infos;
}

Result<Device> Device::find(std::string_view driver, Kind kind) {
    return find_where(driver, kind, {}, [](const Device&) { return true; });
}

Result<Device> Device::find(std::string_view driver, Kind kind, Side side, PixelCode code) {
    return find_where(driver, kind,
                      fmt::format(" with {} on its {} queue", fourcc_text(code), to_string(side)),
                      [&](const Device& device) { return device.offers(side, code); });
}

std::uint32_t Device::buffer_type(Side side) const noexcept {
    if (side == Side::capture)
        return info_.multiplanar ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
    return info_.multiplanar ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
}

} // namespace share::v4l2
