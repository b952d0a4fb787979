// SPDX-License-Identifier: MIT
// ShmMemory: one read-only mapping of a client's wl_shm file, as long as the pool was when it was made.
// Kind `foreign` where the client can shrink the file. Counted against the client until the last Buffer goes.
// Thread: as Memory. Source: mmap(2).
#pragma once

#include <atomic>
#include <memory>

#include <share/memory.hpp>

#include "account.hpp"

namespace share::wayland_server {

class ShmMemory final : public Memory {
public:
    ShmMemory(std::shared_ptr<const UniqueFd> file, std::uint64_t size, const Traits& traits, Charge mapping,
              Charge bytes)
        : Memory(size, "imported", "wl_shm pool", traits),
          file_(std::move(file)),
          mapping_(std::move(mapping)),
          bytes_(std::move(bytes)) {}
    int fd() const noexcept override { return file_->get(); }

    /// Bytes were missing once: zero pages lie in the mapping for ever, so nothing read from it is true.
    bool lost() const noexcept { return lost_.load(std::memory_order_relaxed); }
    void set_lost() noexcept { lost_.store(true, std::memory_order_relaxed); }

private:
    Result<std::span<std::byte>> do_map(Access access) override;

    std::shared_ptr<const UniqueFd> file_;
    Charge mapping_, bytes_;
    std::atomic<bool> lost_{false};
};

/// What kind of pool a client's file makes. Errors: unsupported (not mappable safely), invalid_argument.
Result<Traits> shm_traits(int fd, std::uint64_t size, bool accept_disk_files);

} // namespace share::wayland_server
