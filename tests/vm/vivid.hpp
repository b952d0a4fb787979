// SPDX-License-Identifier: MIT
// vivid, the kernel's virtual camera, set up so that a picture tells its own number.
//
// Its colour bars move by 4 pixels a frame to the left, with no text on them. Seen in
// drivers/media/test-drivers/vivid/vivid-kthread-cap.c: the movement advances once for each frame that the
// device counts, lost ones included, and begins anew with the stream. So the bars of frame `sequence` lie
// 4 * sequence further left than those of frame 0, whose first bar is width / 8 wide.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <share/v4l2/camera.hpp>

#include "picture.hpp"

namespace testing {

inline constexpr std::uint32_t vivid_width = 640, vivid_height = 360;

/// Found by its driver's name; skips the test where there is none.
share::v4l2::Device vivid();
/// A camera of it, of that memory; fails the test when it does not open.
std::unique_ptr<share::v4l2::Camera> vivid_camera(const share::HeapTable& heaps,
                                                  share::v4l2::CameraOptions options);
share::v4l2::CameraOptions vivid_options();

/// How far the bars have moved to the left, in pixels below the width; nothing when the row shows no bars.
std::optional<std::uint32_t> moved(const Picture& picture, int row);
/// What frame `sequence` must have.
constexpr std::uint32_t expected_move(std::uint32_t sequence) {
    return static_cast<std::uint32_t>(std::uint64_t{4} * sequence % vivid_width);
}
/// The pixels of an XRGB8888 Buffer, by the CPU.
Picture picture_of(share::Buffer& buffer);

} // namespace testing
