// SPDX-License-Identifier: MIT
#include "sections.hpp"

#include <array>

namespace info {

namespace {

using namespace std::chrono_literals;

[[maybe_unused]] Json not_built(std::string_view library) {
    return missing("this share-info was built without " + std::string(library));
}

#ifdef SHARE_INFO_EGL
constexpr Section egl{"egl", 60s, collect_egl, print_egl};
#else
constexpr Section egl{"egl", 10s, [] { return not_built("libshare-egl"); }, nullptr};
#endif
#ifdef SHARE_INFO_KMS
constexpr Section kms{"kms", 30s, collect_kms, print_kms}; // asking displays for their modes takes long
#else
constexpr Section kms{"kms", 10s, [] { return not_built("libshare-kms"); }, nullptr};
#endif
#ifdef SHARE_INFO_V4L2
constexpr Section v4l2{"v4l2", 30s, collect_v4l2, print_v4l2};
#else
constexpr Section v4l2{"v4l2", 10s, [] { return not_built("libshare-v4l2"); }, nullptr};
#endif
#ifdef SHARE_INFO_WAYLAND
constexpr Section wayland{"wayland", 10s, collect_wayland, print_wayland};
#else
constexpr Section wayland{"wayland", 10s, [] { return not_built("libshare-wayland-client"); }, nullptr};
#endif
#ifdef SHARE_INFO_X11
constexpr Section x11{"x11", 10s, collect_x11, print_x11};
#else
constexpr Section x11{"x11", 10s, [] { return not_built("libshare-x11"); }, nullptr};
#endif

constexpr std::array all{
    Section{"machine", 10s, collect_machine, print_machine},
    Section{"limits", 10s, collect_limits, print_limits},
    Section{"heaps", 40s, collect_heaps, print_heaps},
    egl,
    kms,
    v4l2,
    wayland,
    x11,
};

} // namespace

std::span<const Section> sections() {
    return all;
}

} // namespace info
