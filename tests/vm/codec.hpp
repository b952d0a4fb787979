// SPDX-License-Identifier: MIT
// Memory-to-memory devices in tests: found by name, buffers for their queues, a picture that the CPU painted
// and what the CPU makes of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <share/v4l2/buffers.hpp>
#include <share/v4l2/m2m.hpp>

#include "picture.hpp"

namespace testing {

namespace code {
inline constexpr share::v4l2::PixelCode rgb24 = share::fourcc('R', 'G', 'B', '3');
inline constexpr share::v4l2::PixelCode bgr24 = share::fourcc('B', 'G', 'R', '3');
inline constexpr share::v4l2::PixelCode rgb565 = share::fourcc('R', 'G', 'B', 'P');
inline constexpr share::v4l2::PixelCode fwht = share::fourcc('F', 'W', 'H', 'T');
} // namespace code

struct StreamSize {
    share::v4l2::PixelCode code = 0;
    std::uint32_t width = 0, height = 0;
};

inline share::Deadline soon() {
    return share::Deadline::in(std::chrono::seconds(20));
}

/// What FWHT at its best quality may lose of painting(), of any channel of any pixel, and on average: about
/// twice what was seen (2 and 0.17).
inline constexpr int codec_largest = 4;
inline constexpr double codec_average = 0.5;

/// The device of that driver whose `side` has `code`; skips the test where there is none.
std::unique_ptr<share::v4l2::M2m> open_m2m(const std::string& driver, share::v4l2::Side side,
                                           share::v4l2::PixelCode code);
std::vector<std::shared_ptr<share::Buffer>> buffers_for(const share::v4l2::M2m& m2m, share::v4l2::Side side,
                                                        const share::HeapTable& heaps,
                                                        const std::string& heap, std::uint32_t count);

/// Gradients, and a square whose place tells `number`.
Picture painting(int width, int height, int number);
/// Every second pixel and row and so on: the sampling of vim2m.
Picture scaled_down(const Picture& picture, int width, int height);
/// What vim2m makes of it in RGB565: low bits cut off (and read as the high ones repeated), and of two pixels
/// both are the first one: drivers/media/test-drivers/vim2m.c, copy_two_pixels(), does not step on.
Picture as_vim2m_565(const Picture& picture);
/// By the CPU. BGR888, RGB888 and RGB565 (its bits repeated).
void write_picture(share::Buffer& buffer, const Picture& picture);
Picture read_picture(share::Buffer& buffer);

/// One compressed picture in the buffer that the encoder wrote.
struct Packet {
    std::shared_ptr<share::Buffer> buffer;
    std::uint64_t bytes = 0;
};
/// vicodec's encoder on painting(width, height, 0), (.., 1), ...: drained to the end.
std::vector<Packet> encode(const share::HeapTable& heaps, const std::string& heap, int count, int width = 640,
                           int height = 480);

} // namespace testing
