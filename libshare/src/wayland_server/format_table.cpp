// SPDX-License-Identifier: MIT
#include "format_table.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace share::wayland_server {

namespace {

struct Entry {
    std::uint32_t format;
    std::uint32_t padding;
    std::uint64_t modifier;
};
static_assert(sizeof(Entry) == 16);

} // namespace

std::uint32_t FormatTable::bytes() const noexcept {
    return static_cast<std::uint32_t>(pairs_.size() * sizeof(Entry));
}

Result<std::shared_ptr<const FormatTable>> FormatTable::create(std::span<const FormatModifier> pairs) {
    const char* operation = "making the linux-dmabuf format table";
    std::vector<FormatModifier> sorted(pairs.begin(), pairs.end());
    std::ranges::sort(sorted);
    const auto repeated = std::ranges::unique(sorted);
    sorted.erase(repeated.begin(), repeated.end());
    if (sorted.size() > UINT16_MAX)
        return make_error(Code::limit, operation, "a table has at most 65535 pairs; offer fewer");

    std::vector<Entry> entries;
    entries.reserve(sorted.size());
    for (const auto& pair : sorted)
        entries.push_back({pair.format, 0, pair.modifier});
    UniqueFd fd(::memfd_create("linux-dmabuf formats", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) return error_from_errno(errno, operation, "memfd_create");
    const auto bytes = entries.size() * sizeof(Entry);
    if (::write(fd.get(), entries.data(), bytes) != static_cast<ssize_t>(bytes))
        return error_from_errno(errno, operation, "writing it");
    // One file serves all clients: none may change it.
    if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return error_from_errno(errno, operation, "sealing it");
    return std::shared_ptr<const FormatTable>(
        std::make_shared<FormatTable>(std::move(fd), std::move(sorted)));
}

} // namespace share::wayland_server
