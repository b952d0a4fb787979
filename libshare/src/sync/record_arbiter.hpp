// SPDX-License-Identifier: MIT
// RecordArbiter: the Arbiter of one Buffer, over the lock files of its memories. Thread: any.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/ownership.hpp"
#include "sync/lock_file.hpp"

namespace share::sync {

struct LockedRange {
    std::shared_ptr<LockFile> file;
    ByteRange range;
};

class RecordArbiter final : public detail::Arbiter {
public:
    /// Taken in the order of their files, so that two processes do not each hold what the other waits for.
    /// Parts of one file that overlap or touch become one.
    explicit RecordArbiter(std::vector<LockedRange> parts);
    Result<void> acquire(Access access, Deadline deadline) override;
    Result<void> downgrade() override;
    void release(Access access) noexcept override;
    const std::vector<LockedRange>& parts() const noexcept { return parts_; }
    /// Whether it locks the same bytes of the same files.
    bool same(const RecordArbiter& other) const noexcept;

private:
    std::vector<LockedRange> parts_;
};

} // namespace share::sync
