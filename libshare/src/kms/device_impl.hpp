// SPDX-License-Identifier: MIT
// What a Device knows of its node. Filled once by query(), read-only then but for the handles and the events.
#pragma once

#include <map>
#include <mutex>

#include <share/kms/device.hpp>

#include "events.hpp"

namespace share::kms {

struct Device::Impl {
    UniqueFd fd;
    std::string driver;
    std::string node;
    Capabilities capabilities;
    std::vector<std::uint32_t> crtcs;
    std::vector<PlaneInfo> planes;

    /// Held over the ioctls too: between an import and its count nobody may close that handle.
    mutable std::mutex gem_lock;
    std::map<std::uint32_t, unsigned> gem_uses;

    Events events;
};

/// Asks the kernel all that Device::Impl holds; impl.fd and impl.node are set.
Result<void> query(Device::Impl& impl);

} // namespace share::kms
