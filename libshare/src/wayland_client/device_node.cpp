// SPDX-License-Identifier: MIT
#include <share/wayland_client/requirements.hpp>

#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace share::wayland_client {

// Feedback may name the primary or the render node of a GPU: one name for both.
std::string device_node(std::uint64_t device) {
    const auto folder = fmt::format("/sys/dev/char/{}:{}", major(device), minor(device));
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder + "/device/drm", none))
        if (const auto name = entry.path().filename().string(); name.starts_with("renderD"))
            return "/dev/dri/" + name;
    std::ifstream uevent(folder + "/uevent");
    constexpr std::string_view key = "DEVNAME=";
    for (std::string line; std::getline(uevent, line);)
        if (line.starts_with(key)) return "/dev/" + line.substr(key.size());
    return {};
}

} // namespace share::wayland_client
