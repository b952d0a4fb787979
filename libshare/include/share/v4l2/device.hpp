// SPDX-License-Identifier: MIT
// Device: one V4L2 video node: what it is, what it can do, and the format of each of its queues.
//
// A queue is named by what the kernel calls it: `capture` fills buffers (a camera's pictures, what a codec
// makes), `output` reads them (what a codec takes). A node is found by its driver's name or by what it can
// do, never by its number, which changes with the order of plugging.
//
// Owner: a value that is moved; a Camera
// or M2m takes it. Thread: one. Units: pixels, bytes. Errors: unavailable, denied (with what to do),
// unsupported (no V4L2 device, no such queue or format), busy (another program streams), disconnected
// (unplugged), invalid_argument (an answer that does not fit). Source: userspace-api/media/v4l, videodev2.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/unique_fd.hpp>
#include <share/v4l2/format.hpp>

namespace share::v4l2 {

enum class Side : std::uint8_t { capture, output };
/// "capture", "output".
SHARE_API std::string_view to_string(Side side) noexcept;

struct DeviceInfo {
    std::string path;   ///< "/dev/video0"
    std::string driver; ///< "vivid", "uvcvideo"
    std::string card;   ///< for a person
    std::string bus;
    std::uint32_t capabilities = 0; ///< V4L2_CAP_* of this node
    bool captures = false;          ///< a camera or the like; not a memory-to-memory device
    bool outputs = false;
    bool m2m = false;
    bool multiplanar = false;
    bool streams = false; ///< has buffer queues at all
};

enum class Kind : std::uint8_t { capture, output, m2m };

struct CodeInfo {
    PixelCode code = 0;
    std::string description;
    bool compressed = false;
    bool emulated = false; ///< converted by a library in between
};

/// Sizes of a format: discrete ones have min equal to max.
struct SizeRange {
    std::uint32_t min_width = 0, min_height = 0, max_width = 0, max_height = 0;
    std::uint32_t step_width = 1, step_height = 1;
};

struct ControlInfo {
    std::uint32_t id = 0;
    std::string name;
    std::int64_t minimum = 0, maximum = 0, standard = 0;
    bool read_only = false;
};

struct WantedFormat {
    PixelCode code = 0;
    std::uint32_t width = 0, height = 0; ///< 0x0: what the device has now
    bool exact = false;                  ///< another size or stride than this is refused
    std::uint32_t stride = 0;            ///< of the first plane; 0: the driver's
};

class SHARE_API Device {
public:
    static Result<Device> open(const std::string& path);
    /// All video nodes that can be asked, in the order of their numbers.
    static std::vector<DeviceInfo> list();
    /// The first node of that driver (empty: any) and kind. The Error lists what is there.
    static Result<Device> find(std::string_view driver, Kind kind);
    /// As find(), of those whose `side` offers `code`: an encoder and a decoder have one driver's name.
    static Result<Device> find(std::string_view driver, Kind kind, Side side, PixelCode code);

    const DeviceInfo& info() const noexcept { return info_; }
    int fd() const noexcept { return fd_.get(); } ///< borrowed; non-blocking

    Result<std::vector<CodeInfo>> codes(Side side) const;
    Result<std::vector<SizeRange>> sizes(PixelCode code) const;
    bool offers(Side side, PixelCode code) const;

    /// What the queue has now, checked.
    Result<StreamFormat> format(Side side) const;
    /// Asks for a format and checks what the driver made of it.
    Result<StreamFormat> set_format(Side side, const WantedFormat& wanted);
    /// Frames a second; what the driver made of it, or nothing when it has no such setting.
    Result<std::optional<double>> set_rate(Side side, std::uint32_t numerator, std::uint32_t denominator);

    /// Integers, booleans, menus and buttons.
    std::vector<ControlInfo> controls() const;
    Result<std::int64_t> control(std::uint32_t id) const;
    Result<void> set_control(std::uint32_t id, std::int64_t value);
    /// By the name that controls() tells.
    Result<void> set_control(std::string_view name, std::int64_t value);

    /// enum v4l2_buf_type of a queue.
    std::uint32_t buffer_type(Side side) const noexcept;

private:
    Device(UniqueFd fd, DeviceInfo info) : fd_(std::move(fd)), info_(std::move(info)) {}
    UniqueFd fd_;
    DeviceInfo info_;
};

} // namespace share::v4l2
