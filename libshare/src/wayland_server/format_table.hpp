// SPDX-License-Identifier: MIT
// FormatTable: linux-dmabuf feedback's table of pairs as a sealed memfd, and its index.
// Thread: the display's. Source: linux-dmabuf-v1.xml (format_table).
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <share/unique_fd.hpp>
#include <share/wayland_server/linux_dmabuf.hpp>

namespace share::wayland_server {

class FormatTable {
public:
    /// Errors: limit (indices are 16 bit), io.
    static Result<std::shared_ptr<const FormatTable>> create(std::span<const FormatModifier> pairs);
    FormatTable(UniqueFd fd, std::vector<FormatModifier> pairs)
        : fd_(std::move(fd)), pairs_(std::move(pairs)) {}

    int fd() const noexcept { return fd_.get(); }
    std::uint32_t bytes() const noexcept;
    /// Sorted, without duplicates.
    const std::vector<FormatModifier>& pairs() const noexcept { return pairs_; }
    std::optional<std::uint16_t> index(FormatModifier pair) const {
        const auto at = std::ranges::lower_bound(pairs_, pair);
        if (at == pairs_.end() || *at != pair) return std::nullopt;
        return static_cast<std::uint16_t>(at - pairs_.begin());
    }
    bool contains(FormatModifier pair) const { return index(pair).has_value(); }

private:
    UniqueFd fd_;
    std::vector<FormatModifier> pairs_;
};

} // namespace share::wayland_server
