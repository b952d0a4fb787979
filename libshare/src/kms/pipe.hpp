// SPDX-License-Identifier: MIT
// Pipe: the KMS objects between a framebuffer and one display, chosen once. Thread: the ScanOut's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <share/kms/scan_out.hpp>

#include "drm_ptr.hpp"
#include "properties.hpp"

namespace share::kms {

struct Pipe {
    std::string connector_name;
    Mode mode;
    drmModeModeInfo mode_info{};
    Properties connector, crtc, primary;
    std::vector<Properties> other_planes; ///< left on the CRTC by whoever was there before
    std::optional<Properties> writeback;  ///< a writeback connector that this CRTC can feed
};

/// Errors: as ScanOut::create.
Result<Pipe> choose_pipe(const Device& device, const ScanOutOptions& options);

} // namespace share::kms
