// SPDX-License-Identifier: MIT
// Events: completions of commits, read from the device's fd and kept by the token that the commit was given.
// Tokens are never used twice, so the event of a ScanOut that is gone meets nobody. Thread: the ScanOuts'.
// Source: drm.h (struct drm_event, drm_event_vblank).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include <share/deadline.hpp>
#include <share/kms/scan_out.hpp>
#include <share/result.hpp>

namespace share::kms {

class Events {
public:
    std::uint64_t next_token() noexcept { return ++last_token_; }
    /// Errors: timed_out, io.
    Result<ScanOut::Flip> wait(int fd, std::uint64_t token, Deadline deadline);

private:
    /// More than displays can be driven by one device.
    static constexpr std::size_t keep = 64;
    Result<void> read_some(int fd);
    std::uint64_t last_token_ = 0;
    std::map<std::uint64_t, ScanOut::Flip> arrived_;
};

} // namespace share::kms
