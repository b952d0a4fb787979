// SPDX-License-Identifier: MIT
// What a foreign program has put on the KMS device, read as the kernel hands it to root: GETFB2 and PRIME
// export of the very memory that is scanned out. Open the Device when that program is running: the first who
// opens a node becomes its master.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <share/kms/device.hpp>

#include "picture.hpp"
#include "process.hpp"

namespace testing {

struct OnDisplay {
    std::uint32_t framebuffer = 0;
    share::UniqueFd dmabuf; ///< the first plane's
    Picture picture;
};
/// Of the first CRTC that shows something; nothing while there is none. Formats with 8 bits a channel only.
std::optional<OnDisplay> look_at_display(share::kms::Device& device);

/// Waits until the display shows `expected` at (x, y); what was seen last.
Difference wait_for_picture(share::kms::Device& device, int x, int y, const Picture& expected,
                            std::chrono::milliseconds limit = std::chrono::seconds(15));

/// udev, which Weston and Xorg ask for devices. Started once for this process.
void start_udev();
/// "card1": the KMS device's name in /dev/dri, found by driver; skips the test where there is none.
std::string vkms_card();

} // namespace testing
