// SPDX-License-Identifier: MIT
#include "display.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include <share/buffer.hpp>
#include <share/import.hpp>

#include "kms_support.hpp"

namespace testing {
namespace {

/// GETFB2 gives handles that are new and ours to close, each once.
class Handles {
public:
    Handles(int fd, const drmModeFB2& fb) : fd_(fd), handles_(fb.handles, fb.handles + 4) {
        handles_.erase(0);
    }
    ~Handles() {
        for (const auto handle : handles_)
            drmCloseBufferHandle(fd_, handle);
    }
    Handles(const Handles&) = delete;
    Handles& operator=(const Handles&) = delete;

private:
    int fd_;
    std::set<std::uint32_t> handles_;
};

std::uint32_t shown_framebuffer(share::kms::Device& device) {
    for (const auto crtc : device.crtcs()) {
        auto* state = drmModeGetCrtc(device.fd(), crtc);
        const std::uint32_t id = state && state->mode_valid ? state->buffer_id : 0;
        drmModeFreeCrtc(state);
        if (id != 0) return id;
    }
    return 0;
}

Picture read_picture(int dmabuf, const drmModeFB2& fb) {
    auto copy = share::UniqueFd(dup(dmabuf));
    auto memory = share::import_fd(std::move(copy));
    must(memory);
    const share::Plane plane{fb.offsets[0], fb.pitches[0]};
    auto layout = share::Layout::describe(fb.width, fb.height, fb.pixel_format, share::modifier::linear,
                                          std::span(&plane, 1), (*memory)->size());
    must(layout);
    auto buffer = share::Buffer::create(*memory, 0, *layout);
    must(buffer);
    auto mapping = (*buffer)->map(share::Access::read, share::Deadline::in(std::chrono::seconds(5)));
    must(mapping);
    Picture picture{static_cast<int>(fb.width), static_cast<int>(fb.height), {}};
    for (std::uint32_t y = 0; y < fb.height; ++y) {
        const auto row = mapping->row(0, y);
        for (std::uint32_t x = 0; x < fb.width; ++x) {
            std::uint32_t pixel = 0;
            std::memcpy(&pixel, row.data() + std::size_t{x} * 4, 4);
            picture.pixels.push_back({static_cast<std::uint8_t>(pixel >> 16U),
                                      static_cast<std::uint8_t>(pixel >> 8U),
                                      static_cast<std::uint8_t>(pixel)});
        }
    }
    return picture;
}

} // namespace

std::optional<OnDisplay> look_at_display(share::kms::Device& device) {
    OnDisplay seen;
    seen.framebuffer = shown_framebuffer(device);
    auto* raw = seen.framebuffer == 0 ? nullptr : drmModeGetFB2(device.fd(), seen.framebuffer);
    if (!raw) return std::nullopt; // it may have gone between the two questions
    const std::unique_ptr<drmModeFB2, void (*)(drmModeFB2*)> fb(raw,
                                                                [](drmModeFB2* p) { drmModeFreeFB2(p); });
    const Handles handles(device.fd(), *fb);
    REQUIRE((fb->pixel_format == share::format::xrgb8888 || fb->pixel_format == share::format::argb8888));
    int dmabuf = -1;
    REQUIRE(fb->handles[0] != 0); // root only
    REQUIRE(drmPrimeHandleToFD(device.fd(), fb->handles[0], DRM_CLOEXEC, &dmabuf) == 0);
    seen.dmabuf.reset(dmabuf);
    seen.picture = read_picture(dmabuf, *fb);
    return seen;
}

Difference wait_for_picture(share::kms::Device& device, int x, int y, const Picture& expected,
                            std::chrono::milliseconds limit) {
    Difference difference;
    eventually(
        [&] {
            const auto seen = look_at_display(device);
            if (seen) difference = difference_at(seen->picture, x, y, expected);
            return difference.largest == 0;
        },
        limit);
    return difference;
}

void start_udev() {
    static std::unique_ptr<Process> daemon;
    if (daemon) return;
    const std::string program = "/lib/systemd/systemd-udevd";
    if (!have_program(program) || !have_program("udevadm")) SKIP("udev is not installed");
    daemon = std::make_unique<Process>(ProcessOptions{.args = {program}});
    REQUIRE(eventually([] { return std::filesystem::exists("/run/udev/control") || !daemon->running(); }));
    run({.args = {"udevadm", "trigger", "--subsystem-match=drm"}});
    run({.args = {"udevadm", "settle", "--timeout=10"}});
}

std::string vkms_card() {
    return std::filesystem::path(kms_device("vkms")->node()).filename().string();
}

} // namespace testing
