// SPDX-License-Identifier: MIT
// What a KMS plane can scan out: pairs of format and modifier, read from its IN_FORMATS blob.
//
// A blob comes from the kernel, but is parsed as if it did not: no count or offset in it is believed.
// Thread: values and pure functions. Source: drm_mode.h, struct drm_format_modifier_blob.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <share/api.hpp>
#include <share/format.hpp>
#include <share/result.hpp>

namespace share::kms {

/// Format by format, in the order of the blob. Errors: corrupt (says what is wrong), unsupported (a version
/// that is not 1).
SHARE_API Result<std::vector<FormatModifier>> parse_in_formats(std::span<const std::byte> blob);

/// "XR24 (linear), RG16 (linear)"; "none" when empty.
SHARE_API std::string formats_text(std::span<const FormatModifier> pairs);

} // namespace share::kms
