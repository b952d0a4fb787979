// SPDX-License-Identifier: MIT
// The test card: a landscape painted by arithmetic, so that a demo needs no photograph. It has what shows
// a wrong path at once: smooth gradients, texture, fine lines, and patches of known colours.
// Thread: any. Errors: invalid_argument (a size under 16 or over 16384), io and its kin (the folder, the
// disk).
#pragma once

#include <cstdint>
#include <string>

#include <share/api.hpp>
#include <share/result.hpp>

namespace share::media {

/// Writes it as a baseline JPEG, 4:2:0. The file appears whole or not at all: it is written under a temporary
/// name beside `path` and renamed.
SHARE_API Result<void> write_test_card(const std::string& path, std::uint32_t width, std::uint32_t height);

} // namespace share::media
