// SPDX-License-Identifier: MIT
// Commit: one atomic request, and Snapshot: what a display showed, to be put back. Thread: the ScanOut's.
// Source: drm-kms.rst (atomic mode setting), drm_mode.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <share/result.hpp>

#include "drm_ptr.hpp"
#include "properties.hpp"

namespace share::kms {

class Commit {
public:
    Commit() : request_(drmModeAtomicAlloc()) {}
    /// A property that the object does not have is left out: no driver has all the optional ones.
    void set(const Properties& object, const char* name, std::uint64_t value);
    void set(std::uint32_t object, std::uint32_t property, std::uint64_t value);
    /// 0 or the errno.
    int run(int fd, std::uint32_t flags, std::uint64_t token = 0) const;

private:
    DrmPtr<drmModeAtomicReq> request_;
    bool failed_ = false;
};

/// A blob property of our own; destroyed with its owner.
class ModeBlob {
public:
    ModeBlob() = default;
    ModeBlob(int fd, const drmModeModeInfo& mode);
    ModeBlob(ModeBlob&& other) noexcept;
    ModeBlob& operator=(ModeBlob&& other) noexcept;
    ~ModeBlob();
    std::uint32_t id() const noexcept { return id_; }

private:
    int fd_ = -1;
    std::uint32_t id_ = 0;
};

class Snapshot {
public:
    /// Of the CRTC, of `planes` and of `connectors`.
    static Result<Snapshot> take(int fd, std::uint32_t crtc, const std::vector<std::uint32_t>& planes,
                                 const std::vector<std::uint32_t>& connectors);
    /// 0 or the errno of the last try: with its framebuffers; switched off, where these are gone.
    int restore(int fd) const;

private:
    struct Value {
        std::uint32_t object, property;
        std::uint64_t value, off;
    };
    Result<void> add(int fd, std::uint32_t object, std::uint32_t type,
                     std::initializer_list<const char*> names);
    std::vector<Value> values_;
    ModeBlob mode_;
};

} // namespace share::kms
