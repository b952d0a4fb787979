// SPDX-License-Identifier: MIT
#include "commit.hpp"

#include <cerrno>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace share::kms {

void Commit::set(const Properties& object, const char* name, std::uint64_t value) {
    if (const auto property = object.find(name)) set(object.object(), property->id, value);
}

void Commit::set(std::uint32_t object, std::uint32_t property, std::uint64_t value) {
    if (!request_ || drmModeAtomicAddProperty(request_.get(), object, property, value) < 0) failed_ = true;
}

int Commit::run(int fd, std::uint32_t flags, std::uint64_t token) const {
    if (failed_ || !request_) return ENOMEM;
    // The kernel only carries the pointer: it is our token.
    const int rc = drmModeAtomicCommit(fd, request_.get(), flags,
                                       reinterpret_cast<void*>(token)); // NOLINT(performance-no-int-to-ptr)
    return rc < 0 ? -rc : 0;
}

ModeBlob::ModeBlob(int fd, const drmModeModeInfo& mode) : fd_(fd) {
    if (drmModeCreatePropertyBlob(fd, &mode, sizeof mode, &id_) != 0) id_ = 0;
}
ModeBlob::ModeBlob(ModeBlob&& other) noexcept : fd_(other.fd_), id_(std::exchange(other.id_, 0)) {}
ModeBlob& ModeBlob::operator=(ModeBlob&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(id_, other.id_);
    return *this;
}
ModeBlob::~ModeBlob() {
    if (id_ != 0) drmModeDestroyPropertyBlob(fd_, id_);
}

Result<void> Snapshot::add(int fd, std::uint32_t object, std::uint32_t type,
                           std::initializer_list<const char*> names) {
    auto properties = Properties::read(fd, object, type);
    if (!properties) return std::move(properties).error();
    for (const char* name : names) {
        const auto property = properties->find(name);
        if (!property) continue;
        std::uint64_t value = property->value;
        // The mode's blob goes with the state that has it: keep a copy of ours.
        if (std::string_view(name) == "MODE_ID") value = mode_.id();
        values_.push_back({object, property->id, value, 0});
    }
    return {};
}

Result<Snapshot> Snapshot::take(int fd, std::uint32_t crtc, const std::vector<std::uint32_t>& planes,
                                const std::vector<std::uint32_t>& connectors) {
    Snapshot snapshot;
    const DrmPtr<drmModeCrtc> state(drmModeGetCrtc(fd, crtc));
    if (!state)
        return error_from_errno(errno, fmt::format("reading what CRTC {} shows", crtc),
                                "DRM_IOCTL_MODE_GETCRTC");
    if (state->mode_valid) snapshot.mode_ = ModeBlob(fd, state->mode);
    auto added = snapshot.add(fd, crtc, DRM_MODE_OBJECT_CRTC, {"ACTIVE", "MODE_ID"});
    for (const auto plane : planes)
        if (added)
            added = snapshot.add(fd, plane, DRM_MODE_OBJECT_PLANE,
                                 {"FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y",
                                  "CRTC_W", "CRTC_H"});
    for (const auto connector : connectors)
        if (added) added = snapshot.add(fd, connector, DRM_MODE_OBJECT_CONNECTOR, {"CRTC_ID"});
    if (!added) return std::move(added).error();
    return snapshot;
}

int Snapshot::restore(int fd) const {
    Commit as_it_was, off;
    for (const Value& value : values_) {
        as_it_was.set(value.object, value.property, value.value);
        off.set(value.object, value.property, value.off);
    }
    if (as_it_was.run(fd, DRM_MODE_ATOMIC_ALLOW_MODESET) == 0) return 0;
    return off.run(fd, DRM_MODE_ATOMIC_ALLOW_MODESET);
}

} // namespace share::kms
