// SPDX-License-Identifier: MIT
#include "sync/record_arbiter.hpp"

#include <algorithm>
#include <tuple>

namespace share::sync {

RecordArbiter::RecordArbiter(std::vector<LockedRange> parts) : parts_(std::move(parts)) {
    std::stable_sort(parts_.begin(), parts_.end(), [](const LockedRange& a, const LockedRange& b) {
        const auto key = [](const LockedRange& part) {
            return std::tuple(part.file->inode().device, part.file->inode().number, part.range.offset);
        };
        return key(a) < key(b);
    });
    // Planes may name the same bytes; one hold would keep out the next of the same write.
    std::vector<LockedRange> merged;
    for (auto& part : parts_) {
        if (merged.empty() || merged.back().file != part.file ||
            part.range.offset > merged.back().range.offset + merged.back().range.length) {
            merged.push_back(std::move(part));
            continue;
        }
        auto& range = merged.back().range;
        range.length =
            std::max(range.offset + range.length, part.range.offset + part.range.length) - range.offset;
    }
    parts_ = std::move(merged);
}

bool RecordArbiter::same(const RecordArbiter& other) const noexcept {
    return std::equal(
        parts_.begin(), parts_.end(), other.parts_.begin(), other.parts_.end(),
        [](const LockedRange& a, const LockedRange& b) { return a.file == b.file && a.range == b.range; });
}

Result<void> RecordArbiter::acquire(Access access, Deadline deadline) {
    std::size_t taken = 0;
    const auto give_back = [&] {
        while (taken-- > 0)
            parts_[taken].file->release(parts_[taken].range, access);
    };
    try {
        for (; taken < parts_.size(); ++taken)
            if (auto done = parts_[taken].file->acquire(parts_[taken].range, access, deadline); !done) {
                give_back();
                return done;
            }
    } catch (...) {
        give_back();
        throw;
    }
    return {};
}

Result<void> RecordArbiter::downgrade() {
    for (const auto& part : parts_)
        if (auto done = part.file->downgrade(part.range); !done) return done;
    return {};
}

void RecordArbiter::release(Access access) noexcept {
    for (const auto& part : parts_)
        part.file->release(part.range, access);
}

} // namespace share::sync
