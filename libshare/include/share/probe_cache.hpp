// SPDX-License-Identifier: MIT
// ProbeCache: what was measured of a party, kept in a file so that the next start need not measure again.
//
// One JSON file (mode 0600, in a folder of mode 0700), keyed by kind of importer, driver and version: a new
// version is measured anew. It is a cache: a file that is missing, damaged, somebody else's or of another
// version of this library counts as empty, and the next put() replaces it whole. Values in it are checked one
// by one; an entry with anything wrong is dropped. Not stored, because they differ from start to start: the
// party's name and device, which get()'s caller sets; so store no device nodes in the formats either where
// they are just the party's own.
// Thread: one object belongs to one thread. Several processes may use one file: each put() reads it anew and
// replaces it in one step, so that readers never see half of it; of two at the same moment one may be lost.
// libshare reads the environment in default_path() only.
#pragma once

#include <optional>
#include <string>

#include <share/api.hpp>
#include <share/requirements.hpp>
#include <share/result.hpp>

namespace share {

struct ProbeKey {
    std::string importer; ///< "egl", "kms", "v4l2", "wayland", "x11"
    std::string driver;   ///< "radeonsi", "vc4", a compositor's name
    /// The driver's, and whatever else the result depends on: the kernel's release, the device's PCI id.
    std::string version;
    friend bool operator==(const ProbeKey&, const ProbeKey&) = default;
};

class SHARE_API ProbeCache {
public:
    /// "$XDG_CACHE_HOME/libshare/probes.json", or below "$HOME/.cache".
    /// Errors: unavailable (neither is set to an absolute path).
    static Result<std::string> default_path();

    /// Reads nothing yet.
    explicit ProbeCache(std::string path) : path_(std::move(path)) {}
    const std::string& path() const noexcept { return path_; }

    /// What was stored under this very key, without party and device.
    std::optional<Requirements> get(const ProbeKey& key) const;
    /// Stores it in the place of what was there under this key; the oldest entry makes room where there are
    /// more than max_entries. Creates file and folder. Errors: invalid_argument (a part of the key that is
    /// empty or no UTF-8, something too long to be read again), limit (8 MiB), denied (the folder belongs to
    /// another user, or others may write to it), io.
    Result<void> put(const ProbeKey& key, const Requirements& measured) const;
    /// Why the file counts as empty, or which entries were dropped, at the last get() or put(); empty when
    /// all was well or there is no file.
    const std::string& remark() const noexcept { return remark_; }

    static constexpr std::size_t max_entries = 64;
    /// Stands in the file. To be raised by every change of what a prober tries or of what its answer means:
    /// files of another number count as empty.
    static constexpr unsigned prober_version = 1;

private:
    std::string path_;
    mutable std::string remark_;
};

} // namespace share
